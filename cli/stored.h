/* The tensors of a model as its checkpoint stores them: parameters that are rows of one
   stored tensor (flash-linear-attention before February 2025: gate above up) are one. */
#ifndef RN_CLI_STORED_H
#define RN_CLI_STORED_H

#include "retnet/model.h"

/* The stored tensor that parameter `first` begins: its name, its dimensions, all its
   rows, data NULL. Its parameters are first .. returned - 1. */
size_t cli_stored_tensor(const rn_model *model, size_t first, rn_model_tensor *out);

#endif
