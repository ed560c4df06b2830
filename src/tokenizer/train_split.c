/* Cutting by blanks, and where a long text can be cut for several threads. */
#include "tokenizer/train_split.h"

static bool is_space(uint32_t c)
{
    return c == ' ' || c == RN_TRAIN_MARK;
}

size_t rn_train_split_blanks(const unsigned char *text, size_t length, size_t at)
{
    size_t begin = at;
    bool inside = false;
    while (at < length) {
        uint32_t c;
        size_t size = rn_utf8_next(text + at, length - at, &c);
        if (!rn_train_is_letter(c)) return at > begin ? at : at + size;
        if (is_space(c) && inside) break;
        inside = !is_space(c);
        at += size;
    }
    return at;
}

bool rn_train_split_border(const rn_classes *classes, const unsigned char *text,
                           size_t at)
{
    uint32_t before;
    if (text[at] != ' ' && text[at] != '\n') return false;
    rn_utf8_before(text, at, &before);
    return before < RN_BAD_BYTE && before != RN_TRAIN_MARK &&
           rn_class_of(classes, before) != RN_CLASS_BLANK;
}
