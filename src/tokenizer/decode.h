/*
 * Decoders of a tokenizer.json: from tokens to text, one token after the other, in the
 * order of the file. A step sees the tokens one by one until Fuse or ByteLevel makes
 * them one text. The same walk decodes whole lists and streams, so the two cannot
 * differ.
 */
#ifndef RN_TOKENIZER_DECODE_H
#define RN_TOKENIZER_DECODE_H

#include "tokenizer/normalize.h"

#define RN_DECODES_MAX ((size_t)8)

typedef enum rn_decode_kind {
    RN_DECODE_REPLACE,
    RN_DECODE_FALLBACK,  /* <0xNN> is a byte */
    RN_DECODE_STRIP,     /* of each token, behind Fuse of the text */
    RN_DECODE_METASPACE, /* the mark is a space, but in the first token nothing */
    RN_DECODE_BYTES,     /* characters that stand for bytes */
    RN_DECODE_FUSE
} rn_decode_kind;

typedef struct rn_decode_step {
    rn_decode_kind kind;
    unsigned char find[RN_STEP_TEXT], put[RN_STEP_TEXT];
    size_t find_length, put_length;
    size_t start, stop; /* Strip: characters at most */
    bool fused;         /* behind Fuse or ByteLevel */
    bool keep_first;    /* Metaspace: the first token is like any other */
} rn_decode_step;

typedef struct rn_decoder {
    rn_decode_step steps[RN_DECODES_MAX];
    size_t count;
    bool fused;  /* the steps so far end in one text */
    bool spaced; /* no decoder: a space between tokens */
} rn_decoder;

/* json: the value of "decoder", NULL or null for none. */
rn_status rn_decoder_read(rn_decoder *out, const json_t *json, const char *path,
                          rn_error *err);

/* What a step remembers. Zeroed at first. */
typedef struct rn_decode_state {
    rn_bytes held; /* Fallback: bytes of a run. Others: room for the token at hand */
    bool broken;   /* Fallback: the run is no UTF-8 whatever follows */
    rn_utf8_part part;
    size_t count; /* tokens seen, Strip: characters taken off */
    bool begun;   /* Strip: the text has begun */
} rn_decode_state;

/* One decoding. Zeroed but for decoder and raw. */
typedef struct rn_decoding {
    const rn_decoder *decoder;
    bool raw; /* bytes as they are, no U+FFFD for what is no UTF-8 */
    rn_decode_state states[RN_DECODES_MAX];
    bool any;     /* a token came before */
    rn_bytes out; /* text that nothing later can change; the caller takes it */
} rn_decoding;

rn_status rn_decoding_put(rn_decoding *d, const unsigned char *token, size_t length,
                          rn_error *err);
rn_status rn_decoding_end(rn_decoding *d, rn_error *err);

/* Bytes that wait for what comes after them. */
size_t rn_decoding_held(const rn_decoding *d);
void rn_decoding_free(rn_decoding *d);

#endif
