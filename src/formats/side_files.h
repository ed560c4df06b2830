/* The files that go along with a model: its tokenizer, and how it is to be generated
   from. They are copied as they are, each whole or not at all. */
#ifndef RN_FORMATS_SIDE_FILES_H
#define RN_FORMATS_SIDE_FILES_H

#include "core/error.h"

/* Their names. */
#define RN_SIDE_FILES 9
extern const char *const rn_side_files[RN_SIDE_FILES];

/* Copies those that lie beside the checkpoint `in`, a folder or a file, into `folder`; of
   a GGUF file those that are inside. */
rn_status rn_side_files_copy(const char *in, const char *folder, rn_error *err);

#endif
