/*
 * Inside the api room: a conversion under way. A target layout takes the source's config,
 * says what it cannot hold, and leaves the config that its reader would see again; the
 * parameters of that config's model are what is written, each from the parameter of the
 * same native name.
 */
#ifndef RN_API_CONVERT_H
#define RN_API_CONVERT_H

#include "api/matched.h"
#include "formats/dialect.h"
#include "retnet/convert.h"

typedef struct rn_conversion {
    const char *path; /* of the source */
    const rn_convert_options *options;
    rn_matched in;
    rn_config from, to;
    const rn_dialect *dialect; /* whose names are written; NULL: native ones */
    json_t *config;            /* config.json of the target, or NULL: native */
    bool buffers;              /* torchscale's retnet_rel_pos.* are written too */
    rn_convert_report report;
} rn_conversion;

/* Set c->to, c->dialect, c->config, c->buffers. */
rn_status rn_convert_plan_fla(rn_conversion *c, rn_error *err);
rn_status rn_convert_plan_torchscale(rn_conversion *c, rn_error *err);

/* One thing that a layout cannot say: RN_EUNSUPPORTED, or counted and told when the
   conversion is lossy. */
__attribute__((format(printf, 3, 4))) rn_status
rn_convert_lose(rn_conversion *c, rn_error *err, const char *format, ...);

/* What a layout must have; without it there is no conversion, lossy or not. */
typedef struct rn_convert_need {
    bool there;
    const char *what;
} rn_convert_need;
rn_status rn_convert_check(const rn_conversion *c, const rn_convert_need *needs,
                           size_t count, rn_error *err);

/* Row normalisers change nothing when the head norm has no eps. */
bool rn_convert_row_norm_matters(const rn_config *config);

/* Copies the keys of the list (NULL at its end) that the source's config has: those that
   say nothing of the model's function; and from a GGUF file the ids of the tokens that
   begin and end a text. */
rn_status rn_convert_copy_keys(rn_conversion *c, const char *const *keys, rn_error *err);

/* "float32", as PyTorch calls what the embedding's numbers are. */
const char *rn_convert_torch_type(const rn_conversion *c);

/* Writes the parameters of c->to into the folder's model.safetensors. */
rn_status rn_convert_write(rn_conversion *c, const char *path, rn_error *err);

/* To one GGUF file (convert_gguf.c). */
rn_status rn_convert_gguf(const char *in, const char *out,
                          const rn_convert_options *options, rn_convert_report *report,
                          rn_error *err);

#endif
