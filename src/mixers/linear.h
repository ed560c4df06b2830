/*
 * The dense projection of mixers and models, y = in W^T, over matrices in any number
 * format: float32 in rows as training holds them, or packed panels.
 */
#ifndef RN_MIXERS_LINEAR_H
#define RN_MIXERS_LINEAR_H

#include "core/team.h"
#include "kernels/exec.h"

#define RN_MATRIX_PARTS 4

/* W [n][k]. Packed parts hold its rows one after the other; all but the last have a
   multiple of RN_PANEL of them. Views own nothing. */
typedef struct rn_matrix {
    size_t n, k;
    const float *f32; /* NULL: packed */
    size_t parts;
    rn_panels part[RN_MATRIX_PARTS];
} rn_matrix;

/* `rows` rows of an input, and the forms of them that packed parts multiply, by
   rn_acts_type. F32 is always there, of the others those that were prepared. */
typedef struct rn_operand {
    const float *data;
    size_t rows, ld;
    rn_acts form[3];
} rn_operand;

/* Bytes that the prepared forms of rows x k numbers take, whatever the matrix; and an
   operand whose forms lie in `buffer`, those that W asks for. bf16: see rn_acts_of. */
size_t rn_operand_bytes(size_t rows, size_t k);
rn_operand rn_operand_place(const rn_matrix *w, bool bf16, const float *data, size_t rows,
                            size_t ld, size_t k, void *buffer);

/* Fills the forms: of the operand's rows begin .. end-1, all columns; or of the columns
   begin .. end-1 of all rows, both multiples of RN_PANEL_BLOCK (or the end). One thread.
 */
void rn_operand_rows(rn_exec *x, const rn_operand *o, size_t begin, size_t end);
void rn_operand_columns(rn_exec *x, const rn_operand *o, size_t begin, size_t end);

/* Row r alone, with its forms. */
rn_operand rn_operand_row(const rn_operand *o, size_t r);

/* Columns begin .. end-1 of y, by one thread; begin, and end unless it is n, are
   multiples of RN_PANEL. */
void rn_linear_range(rn_exec *x, float *y, size_t ldy, const rn_operand *in,
                     const rn_matrix *w, size_t begin, size_t end);

/* The member's part of all of y = in W^T + bias (NULL: none), in pieces of RN_LINEAR_CUT
   columns that it takes as rn_team_first and rn_team_next say. */
#define RN_LINEAR_CUT ((size_t)64)
void rn_linear_team(rn_exec *x, rn_team *team, int rank, float *y, const rn_operand *in,
                    const rn_matrix *w, const float *bias);

/* Asks memory for `bytes` of what the member reads first of the first n columns of W, so
   that they come while something else is computed or waited for. */
void rn_linear_ask(const rn_team *team, int rank, const rn_matrix *w, size_t n,
                   size_t bytes);

/* y[rows][n] = in[rows][k] W^T by all threads: the product of every projection outside
   decoding. In the recurrent form float32 matrices are streamed past the rows, in the
   others they go through the GEMM: by form and not by number, so that a row has the same
   bits whatever the rows beside it. Packed ones need rn_exec_reserve_acts. */
void rn_linear(rn_exec *x, rn_form form, float *y, size_t ldy, const float *in,
               size_t ldin, const rn_matrix *w, size_t rows);

/* y[i] = scale times row ids[i] of W, by all threads of x. */
void rn_matrix_rows(rn_exec *x, float *y, const rn_matrix *w, const int32_t *ids,
                    size_t rows, float scale);

/* Its gradients, float32 matrices only: dw += dy^T in, and din = dy W unless din is NULL.
 */
void rn_linear_backward(rn_exec *x, float *din, size_t lddin, float *dw, const float *dy,
                        size_t lddy, const float *in, size_t ldin, const rn_matrix *w,
                        size_t rows);

#endif
