/* Inside the model room: the working memory of a pass, and the passes of one layer. */
#ifndef RN_MODEL_RUN_H
#define RN_MODEL_RUN_H

#include "model/params.h"

/* What one layer keeps between its forward and its backward pass; rows of D floats unless
   said. norm_in and norm_out are the two sides of each norm where they are not already
   somewhere else. */
typedef struct layer_pass {
    float *norm1,
        *stats1;  /* pre: the normed input of the mixer; post: the sum before the norm */
    float *mixer; /* the mixer's own */
    float *mid;   /* between mixer and feed-forward */
    float *norm2, *stats2;
    float *in;                     /* [rows][2F] or [rows][F]: before the activation */
    float *hidden;                 /* [rows][F] */
    float *hidden_normed, *stats3; /* [rows][F] with ffn_norm, else hidden itself */
} layer_pass;

/* Buffers that only a backward pass needs. */
typedef struct grad_work {
    float *dx;    /* [rows][D] gradient of the present layer's output */
    float *a, *b; /* [rows][D] */
    float *d_in;  /* as layer_pass.in */
    float *d_hidden, *d_hidden_normed; /* [rows][F] */
} grad_work;

struct rn_run {
    rn_model *m;
    rn_run_options options;
    void *block;
    size_t bytes, tables; /* of the block, and of its part that is no activations */
    bool rested;

    float *x;           /* [layers + 1 or 2][max_rows][D] inputs of the layers */
    layer_pass *layers; /* one each, or one for all */
    float *branch;      /* [rows][D] what mixer or feed-forward gives */
    float *embedded, *embedded_stats; /* before the embedding norm */
    float *last, *last_stats;         /* after the final norm */
    float *shared, *work;
    float *logits, *loss, *lse;
    size_t logit_rows;
    grad_work grad;

    float **state, **parts; /* [max_batch] pointers for the mixer */
    const float **params;   /* [RN_MAX_PARAMS] */
    float **grads;
    size_t *first; /* [max_batch + 1] of the last forward */
    uint64_t *position;
    const int32_t *ids;
    rn_segment segment;
    bool prepared; /* shared fits segment */
    size_t rows;
    uint64_t dropout_counter;
};

/* Input and output of layer i. */
float *rn_run_x(const rn_run *run, size_t i);

/* The norm of the layers' kind over rows of D; stats [rows][2]. Absent parameters count
   as 1 and 0. */
void rn_run_norm(rn_run *run, const rn_norm_at *at, float *y, float *stats,
                 const float *in);
void rn_run_norm_backward(rn_run *run, const rn_norm_at *at, float *grads, float *din,
                          const float *dy, const float *in, const float *stats);

/* The same for the feed-forward's hidden rows of F. */
void rn_run_hidden_norm(rn_run *run, const rn_norm_at *at, float *y, float *stats,
                        const float *in);
void rn_run_hidden_norm_backward(rn_run *run, const rn_norm_at *at, float *grads,
                                 float *din, const float *dy, const float *in,
                                 const float *stats);

/* Dropout of `site` in place (0: embedding, 1 + 2i: mixer, 2 + 2i: feed-forward of layer
   i); its gradient is the same call. Does nothing outside training. */
void rn_run_dropout(rn_run *run, float *y, size_t site);

/* y = f(in) for the layer's feed-forward; and back: d_in is set. */
void rn_run_ffn(rn_run *run, size_t layer, layer_pass *p, float *y, const float *in);
void rn_run_ffn_backward(rn_run *run, size_t layer, layer_pass *p, float *grads,
                         float *din, const float *dy, const float *in);

void rn_run_layer(rn_run *run, size_t layer, float *const *state, float *out,
                  const float *in);
/* run->grad.dx: gradient of the layer's output on entry, of its input on return. */
void rn_run_layer_backward(rn_run *run, size_t layer, float *grads, const float *in);

#endif
