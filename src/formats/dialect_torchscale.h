/* Inside the formats room: what the files of torchscale's family of dialects share. */
#ifndef RN_FORMATS_DIALECT_TORCHSCALE_H
#define RN_FORMATS_DIALECT_TORCHSCALE_H

#include "formats/dialect.h"

/* "decoder." (fairseq), "model." (syncdoth) or "". */
const char *rn_torchscale_prefix(const rn_source *s);

/* The layout from before 28 September 2023: biases everywhere, or, of a config alone, no
   value width. */
bool rn_torchscale_is_legacy(const rn_source *s);

/* Whether the feed-forward is fc2(act(fc1 x)), with biases, instead of the gated one. */
bool rn_torchscale_is_plain(const rn_source *s);

/* retnet_rel_pos.WHICH, or NULL. */
const rn_tensor_view *rn_torchscale_buffer(const rn_source *s, const char *which);

/* The config and the stored buffers as native keys. */
rn_status rn_torchscale_config(const rn_source *s, json_t **native, rn_error *err);

#endif
