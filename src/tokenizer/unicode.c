/* Classes and NFC; see unicode.h. Letters, numbers and blanks come from our own tables,
   marks and decimal digits (of single_word alone) from utf8proc. */
#include "tokenizer/unicode.h"

#include "tokenizer/unicode_tables.h"

#include <stdlib.h>
#include <utf8proc.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define POINTS       ((size_t)0x110000)
#define PAGES        (POINTS >> 8)

static void mark(unsigned char *all, const rn_range32 *ranges, size_t count, int flags)
{
    for (size_t i = 0; i < count; i++)
        for (uint32_t c = ranges[i].first; c <= ranges[i].last; c++)
            all[c] = (unsigned char)(all[c] | flags);
}

/* The number of a page with these contents, a new one where there is none. */
static size_t place(rn_classes *t, const unsigned char *page)
{
    size_t i = 0;
    while (i < t->count && memcmp(t->pages[i], page, 256) != 0) i++;
    if (i == t->count) memcpy(t->pages[t->count++], page, 256);
    return i;
}

rn_status rn_classes_make(rn_classes *out, rn_error *err)
{
    rn_classes t = {.count = 0};
    unsigned char *all = calloc(POINTS, 1);
    t.pages = malloc(PAGES * sizeof *t.pages);
    if (!all || !t.pages) {
        free(all);
        free(t.pages);
        return rn_fail_memory(err, "Unicode classes", 2 * POINTS);
    }
    mark(all, letters, COUNT(letters), RN_CLASS_LETTER);
    mark(all, numbers, COUNT(numbers), RN_CLASS_NUMBER);
    mark(all, blanks, COUNT(blanks), RN_CLASS_BLANK);
    mark(all, treated, COUNT(treated), RN_NFC_TREATED);
    mark(all, changing, COUNT(changing), RN_NFC_CHANGING);
    for (size_t p = 0; p < PAGES; p++) t.page_of[p] = (uint16_t)place(&t, all + p * 256);
    free(all);
    void *fitted = realloc(t.pages, t.count * sizeof *t.pages);
    if (fitted) t.pages = fitted;
    *out = t;
    return RN_OK;
}

void rn_classes_free(rn_classes *c)
{
    free(c->pages);
    *c = (rn_classes){.count = 0};
}

/* Letters in circles and squares, which are alphabetic without being letters. */
static bool is_enclosed_letter(uint32_t c)
{
    return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
           (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

bool rn_is_word(const rn_classes *t, uint32_t c)
{
    if (c >= RN_BAD_BYTE) return false;
    if (c == 0x200C || c == 0x200D || is_enclosed_letter(c)) return true;
    if (rn_class_of(t, c) == RN_CLASS_LETTER) return true;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return false;
    }
}

/* The stretch of treated characters around the one at `at`, not before `from`. */
static void find_run(const rn_classes *t, const unsigned char *text, size_t length,
                     size_t from, size_t at, size_t *begin, size_t *end)
{
    uint32_t c;
    size_t n;
    for (*begin = at; *begin > from; *begin = n) {
        n = rn_utf8_before(text, *begin, &c);
        if (!(rn_class_flags(t, c) & RN_NFC_TREATED)) break;
    }
    for (*end = at; *end < length; *end += n) {
        n = rn_utf8_next(text + *end, length - *end, &c);
        if (!(rn_class_flags(t, c) & RN_NFC_TREATED)) break;
    }
}

static rn_status put_normalised(rn_bytes *out, const unsigned char *run, size_t length,
                                rn_error *err)
{
    utf8proc_uint8_t *made = NULL;
    utf8proc_ssize_t n = utf8proc_map(run, (utf8proc_ssize_t)length, &made,
                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n < 0) return rn_fail_memory(err, "text in NFC", length);
    rn_status st = rn_bytes_put(out, made, (size_t)n, err);
    free(made);
    return st;
}

/* A character that is not treated combines with nothing, so the runs between are
   normalised by themselves; in them every version of Unicode agrees with 9.0. */
rn_status rn_nfc(const rn_classes *t, rn_bytes *out, const unsigned char *text,
                 size_t length, rn_error *err)
{
    size_t copied = 0;
    rn_status st = RN_OK;
    for (size_t at = 0; !st && at < length;) {
        uint32_t c;
        size_t n = rn_utf8_next(text + at, length - at, &c);
        if (c < 0x300 || !(rn_class_flags(t, c) & RN_NFC_CHANGING)) {
            at += n;
            continue;
        }
        size_t begin, end;
        find_run(t, text, length, copied, at, &begin, &end);
        st = rn_bytes_put(out, text + copied, begin - copied, err);
        if (!st) st = put_normalised(out, text + begin, end - begin, err);
        at = copied = end;
    }
    return st ? st : rn_bytes_put(out, text + copied, length - copied, err);
}
