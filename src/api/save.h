/* What writers of native folders share. */
#ifndef RN_API_SAVE_H
#define RN_API_SAVE_H

#include "model/model.h"

#define RN_CONFIG_FILE  "config.json"
#define RN_WEIGHTS_FILE "model.safetensors"

/* Writes a text and a line's end, whole or not at all. */
rn_status rn_save_text(const char *text, const char *path, rn_error *err);

/* Writes the model's native config.json, alike. */
rn_status rn_save_config(const rn_model *m, const char *path, rn_error *err);

#endif
