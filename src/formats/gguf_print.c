/* Values of GGUF metadata as text for people. */
#include "formats/gguf_value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_ITEMS 8   /* shown of a list */
#define MAX_TEXT  500 /* bytes shown of a string */
#define MAX_ITEM  40  /* of one in a list */

typedef struct line {
    char *out;
    size_t size, used;
} line;

__attribute__((format(printf, 2, 3))) static void print(line *l, const char *format, ...)
{
    va_list args;
    if (l->used + 1 >= l->size) return;
    va_start(args, format);
    int n = vsnprintf(l->out + l->used, l->size - l->used, format, args);
    va_end(args);
    if (n > 0) l->used += (size_t)n;
    if (l->used >= l->size) l->used = l->size - 1;
}

/* Cut between characters of UTF-8. */
static void print_text(line *l, const rn_gguf_value *v, size_t most)
{
    size_t n = v->bytes < most ? v->bytes : most;
    while (n > 0 && n < v->bytes && (v->data[n] & 0xc0) == 0x80) n--;
    print(l, "%.*s", (int)n, (const char *)v->data);
    if (n < v->bytes) print(l, "... (%zu bytes)", v->bytes);
}

static void print_item(line *l, const rn_gguf_value *v, size_t most)
{
    int64_t whole;
    double real;
    bool truth;
    if (rn_gguf_int(v, &whole)) print(l, "%" PRId64, whole);
    else if (rn_gguf_bool(v, &truth)) print(l, "%s", truth ? "true" : "false");
    else if (rn_gguf_real(v, &real))
        print(l, "%.*g", v->type == RN_GGUF_F32 ? 9 : 17, real);
    else if (v->type == RN_GGUF_STRING) print_text(l, v, most);
    else print(l, "[%" PRIu64 " entries]", v->count);
}

void rn_gguf_print(const rn_gguf_value *v, char *out, size_t size)
{
    line l = {out, size, 0};
    rn_gguf_value item;
    size_t at = 0;
    out[0] = '\0';
    if (v->type != RN_GGUF_ARRAY) {
        print_item(&l, v, MAX_TEXT);
        return;
    }
    print(&l, "[");
    for (int i = 0; i < MAX_ITEMS && rn_gguf_next(v, &at, &item); i++) {
        print(&l, "%s", i ? ", " : "");
        print_item(&l, &item, MAX_ITEM);
    }
    if (v->count > MAX_ITEMS) print(&l, ", ... %" PRIu64 " in all", v->count);
    print(&l, "]");
}
