/*
 * Tokenizers of tokenizer.json files. A text is taken apart in this order: added tokens
 * of the raw text; each piece between them normalised; added tokens of the normalised
 * piece; each piece between them split into words; each word encoded. Nothing looks
 * across the border of a piece.
 */
#include "tokenizer/file.h"

#include "core/file.h"

#include <stdlib.h>

/* What one thread keeps from text to text. */
typedef struct file_work {
    rn_bpe_work *bpe;
    rn_normal_room normal;
    rn_split_room split;
} file_work;

/* One text on its way. */
typedef struct passage {
    const rn_file_tokenizer *t;
    file_work *work;
    bool plain, first; /* first: the raw piece at hand begins the text */
    rn_id_list *out;
} passage;

static bool detect(const char *name)
{
    return rn_path_exists(name);
}

static void free_file(rn_tokenizer *t)
{
    rn_file_tokenizer_free((rn_file_tokenizer *)t);
    free(t);
}

static rn_status open_file(rn_tokenizer **out, const char *name, rn_error *err)
{
    rn_file_tokenizer *t = calloc(1, sizeof *t);
    char *inside = NULL;
    if (!t) return rn_fail_memory(err, name, sizeof *t);
    t->base =
        (rn_tokenizer){.kind = &rn_tokenizer_file, .decoder = &t->decoder, .end_id = -1};
    rn_status st = RN_OK;
    if (rn_path_is_folder(name)) {
        inside = rn_path_join(name, "tokenizer.json");
        if (!inside) st = rn_fail_memory(err, name, strlen(name));
    }
    if (!st) st = rn_file_tokenizer_read(t, inside ? inside : name, err);
    free(inside);
    if (st) {
        free_file(&t->base);
        return st;
    }
    *out = &t->base;
    return RN_OK;
}

static size_t vocab(const rn_tokenizer *t)
{
    return ((const rn_file_tokenizer *)t)->bpe.vocab.count;
}

static bool token(const rn_tokenizer *t, int32_t id, rn_token *out)
{
    return rn_vocab_token(&((const rn_file_tokenizer *)t)->bpe.vocab, id, out);
}

static int32_t find(const rn_tokenizer *t, const void *content, size_t length)
{
    return rn_vocab_find(&((const rn_file_tokenizer *)t)->bpe.vocab, content, length);
}

static void free_work(void *work)
{
    file_work *w = work;
    if (!w) return;
    rn_bpe_work_free(w->bpe);
    rn_normal_room_free(&w->normal);
    rn_split_room_free(&w->split);
    free(w);
}

static rn_status make_work(void **work, rn_error *err)
{
    file_work *w = calloc(1, sizeof *w);
    if (!w) return rn_fail_memory(err, "encoding", sizeof *w);
    rn_status st = rn_bpe_work_make(&w->bpe, err);
    if (st) free(w);
    else *work = w;
    return st;
}

static rn_status take_word(void *user, const unsigned char *word, size_t length,
                           rn_error *err)
{
    const passage *p = user;
    return rn_bpe_encode(&p->t->bpe, p->work->bpe, word, length, p->out, err);
}

static rn_status take_piece(void *user, const unsigned char *text, size_t begin,
                            size_t end, int32_t id, rn_error *err)
{
    passage *p = user;
    if (id >= 0) return rn_id_list_put(p->out, &id, 1, err);
    return rn_presplit_run(&p->t->presplit, &p->t->classes, &p->work->split, text + begin,
                           end - begin, p->first && begin == 0, take_word, p, err);
}

static rn_status take_raw(void *user, const unsigned char *text, size_t begin, size_t end,
                          int32_t id, rn_error *err)
{
    passage *p = user;
    if (id >= 0) return rn_id_list_put(p->out, &id, 1, err);
    const unsigned char *piece = text + begin;
    size_t length = end - begin;
    p->first = begin == 0;
    rn_status st = rn_normalize(&p->t->normalizer, &p->t->classes, &p->work->normal,
                                &piece, &length, err);
    if (st) return st;
    return rn_added_cut(&p->t->normal, &p->t->classes, piece, length, p->plain,
                        take_piece, p, err);
}

static rn_status encode(const rn_tokenizer *base, void **work, const void *text,
                        size_t length, unsigned flags, rn_id_list *out, rn_error *err)
{
    const rn_file_tokenizer *t = (const rn_file_tokenizer *)base;
    rn_status st = *work ? RN_OK : make_work(work, err);
    if (st) return st;
    const bool special = (flags & RN_ENCODE_SPECIAL) != 0;
    passage p = {
        .t = t, .work = *work, .plain = (flags & RN_ENCODE_PLAIN) != 0, .out = out};
    if (special) st = rn_id_list_put(out, t->before.ids, t->before.count, err);
    if (!st)
        st = rn_added_cut(&t->raw, &t->classes, text, length, p.plain, take_raw, &p, err);
    if (!st && special) st = rn_id_list_put(out, t->after.ids, t->after.count, err);
    return st;
}

const rn_tokenizer_kind rn_tokenizer_file = {
    .detect = detect,
    .open = open_file,
    .free = free_file,
    .vocab = vocab,
    .encode = encode,
    .free_work = free_work,
    .token = token,
    .find = find,
};
