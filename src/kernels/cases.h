/*
 * One case for every row of kernels.def: shapes, random inputs, the call. Tests run each
 * case with every variant against the reference; the benchmark times the last, large
 * shape. The table is generated from kernels.def, so a row without a case does not link.
 *
 * A case owns one buffer per pointer argument, in the order of the arguments, unaligned
 * by one element, between canaries that are also NaN, so that reading them shows too.
 */
#ifndef RN_KERNELS_CASES_H
#define RN_KERNELS_CASES_H

#include "kernels/exec.h"

#define RN_CASE_BUFFERS   12
#define RN_CASE_SEQUENCES 6

typedef enum rn_case_role {
    RN_CASE_IN,   /* must not change */
    RN_CASE_OUT,  /* set: holds NaN before */
    RN_CASE_INOUT /* changed or added to */
} rn_case_role;

typedef enum rn_case_type {
    RN_CASE_F32,
    RN_CASE_F64,
    RN_CASE_I32,
    RN_CASE_U8 /* packed operands: always at a cache line */
} rn_case_type;

typedef struct rn_case_buffer {
    const char *name;
    size_t count;
    rn_case_role role;
    rn_case_type type;
    double low, high; /* random values are uniform in [low, high) */
    void *data;       /* NULL: the argument is absent */
    void *initial;    /* what data holds before a run */
    size_t before;    /* bytes of canary before data; RN_CASE_CANARY behind it */
} rn_case_buffer;

typedef struct rn_case {
    size_t index;   /* of the shape */
    char shape[80]; /* "rows 512, dim 1024" */
    double flops;   /* of a call; 0 where the figure has no meaning */
    double bytes;   /* that a call has to move at least */
    size_t scratch; /* bytes per thread that the kernel needs */
    size_t buffers;
    rn_case_buffer buffer[RN_CASE_BUFFERS];
    void *block;
    void (*run)(const struct rn_case *c, rn_exec *x);
    /* The sequences of the retention cases. */
    size_t first[RN_CASE_SEQUENCES + 1];
    uint64_t seen[RN_CASE_SEQUENCES];
    float *state[RN_CASE_SEQUENCES], *z[RN_CASE_SEQUENCES];
    /* The operands of the packed products. */
    rn_panels panels;
    rn_acts acts;
} rn_case;

/* How a kernel is tested: declare names the shape and its buffers, prepare (may be NULL)
   replaces random values by meaningful ones, run calls the slot. The last shape is the
   large one. */
typedef struct rn_case_kind {
    size_t shapes;
    void (*declare)(rn_case *c);
    void (*prepare)(rn_case *c);
    void (*run)(const rn_case *c, rn_exec *x);
} rn_case_kind;

typedef struct rn_case_row {
    const char *name;
    double tolerance;
    const rn_case_kind *kind;
} rn_case_row;

/* Row i of kernels.def, in order; NULL past the end. */
const rn_case_row *rn_case_row_at(size_t i);

/* Builds the case of one shape. aligned: all buffers at a cache line, for the benchmark.
 */
rn_status rn_case_open(rn_case **out, const rn_case_row *row, size_t shape, uint64_t seed,
                       bool aligned, rn_error *err);
void rn_case_close(rn_case *c);

/* Puts back what a run changed. */
void rn_case_reset(rn_case *c);

/* Calls the kernel of x's table, with scratch reserved. */
rn_status rn_case_run(const rn_case *c, rn_exec *x, rn_error *err);

/* The first buffer whose canaries or, for an input, contents have changed; or NULL. */
const char *rn_case_damage(const rn_case *c);

/* Bytes of buffer i. */
size_t rn_case_buffer_bytes(const rn_case_buffer *b);

/* For declare: the next argument. Floats are uniform in [-scale, scale). */
void rn_case_floats(rn_case *c, const char *name, size_t count, rn_case_role role,
                    double scale);
void rn_case_ids(rn_case *c, const char *name, size_t count, int low, int high);
void rn_case_doubles(rn_case *c, const char *name, size_t count, rn_case_role role);
/* Whole cache lines, random unless prepare fills them. */
void rn_case_bytes(rn_case *c, const char *name, size_t count, rn_case_role role);
void rn_case_absent(rn_case *c);
__attribute__((format(printf, 2, 3))) void rn_case_shape(rn_case *c, const char *format,
                                                         ...);

/* For prepare and run: argument i. */
static inline float *rn_case_f32(const rn_case *c, size_t i)
{
    return c->buffer[i].data;
}

static inline int32_t *rn_case_i32(const rn_case *c, size_t i)
{
    return c->buffer[i].data;
}

#define RN_KERNEL(name, args, tolerance) extern const rn_case_kind rn_case_##name;
#include "kernels/kernels.def"
#undef RN_KERNEL

#endif
