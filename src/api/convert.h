/* The writers behind rn_convert: one a layout. */
#ifndef RN_API_CONVERT_H
#define RN_API_CONVERT_H

#include "retnet/convert.h"

/* Any checkpoint as one GGUF file: tensors keep their type and their bytes, the config is
   told whole, the tokenizer's files are inside. Nothing is lost, so `lossy` changes
   nothing. As rn_convert otherwise; report may be NULL. */
rn_status rn_convert_gguf(const char *in, const char *out,
                          const rn_convert_options *options, rn_convert_report *report,
                          rn_error *err);

#endif
