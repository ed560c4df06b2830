/*
 * The config as text: one table of native keys serves reading, writing, `--set` and the
 * message when something is wrong. Head widths and decays that were left open are filled
 * in by rn_config_check.
 */
#include "model/model.h"

#include "core/error.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum field_kind {
    SIZE,
    BOOL,
    NUMBER,
    CHOICE,
    MIXER,
    DECAYS,
    ANGLES,
    TOKEN /* an id or null; kept as 1 + id */
} field_kind;

typedef struct field {
    const char *key;
    field_kind kind;
    size_t offset;
    double least, most;
    const char *const *names; /* of CHOICE, in the order of the enum, NULL at the end */
} field;

static const char *const ffn_names[] = {"gated", "plain", NULL};
static const char *const activation_names[] = {"swish", "gelu", "relu", NULL};
static const char *const norm_names[] = {"rms", "layer", NULL};
static const char *const position_names[] = {"pre", "post", NULL};
static const char *const head_norm_names[] = {"rms", "group", "none", NULL};
static const char *const head_weight_names[] = {"none", "shared", "channel", NULL};
static const char *const rotary_names[] = {"adjacent", "halves", "none", NULL};
static const char *const row_norm_names[] = {
    "none", "decay", "paper", "torchscale", "auto", "paper-parallel", NULL};
static const char *const ffn_norm_names[] = {"layers", "rms", "layer", NULL};
static const char *const ffn_bias_names[] = {"mixer", "none", "all", NULL};
static const char *const init_names[] = {"xavier", "deepnorm", "normal", NULL};
static const char *const decay_rule_names[] = {"powers", "spread", "tenths", NULL};

#define AT(member) offsetof(rn_config, member)
#define MAX_WIDTH  1048576.0
#define MAX_VOCAB  16777216.0
#define MAX_LAYERS 4096.0

/* The order in which config.json and `retnet info` show the keys. */
static const field fields[] = {
    {"mixer", MIXER, AT(mixer.kind), 0, 0, NULL},
    {"vocab_size", SIZE, AT(vocab_size), 1, MAX_VOCAB, NULL},
    {"width", SIZE, AT(mixer.width), 1, MAX_WIDTH, NULL},
    {"layers", SIZE, AT(layers), 1, MAX_LAYERS, NULL},
    {"heads", SIZE, AT(mixer.heads), 1, RN_MAX_HEADS, NULL},
    {"kv_heads", SIZE, AT(mixer.kv_heads), 0, RN_MAX_HEADS, NULL},
    {"key_dim", SIZE, AT(mixer.key_dim), 0, RN_MAX_HEAD_WIDTH, NULL},
    {"value_dim", SIZE, AT(mixer.value_dim), 0, RN_MAX_HEAD_WIDTH, NULL},
    {"ffn", CHOICE, AT(ffn), 0, 0, ffn_names},
    {"ffn_width", SIZE, AT(ffn_width), 0, MAX_WIDTH, NULL},
    {"ffn_norm", BOOL, AT(ffn_norm), 0, 0, NULL},
    {"ffn_norm_kind", CHOICE, AT(ffn_norm_kind), 0, 0, ffn_norm_names},
    {"ffn_bias", CHOICE, AT(ffn_bias), 0, 0, ffn_bias_names},
    {"activation", CHOICE, AT(activation), 0, 0, activation_names},
    {"norm", CHOICE, AT(norm), 0, 0, norm_names},
    {"norm_position", CHOICE, AT(norm_position), 0, 0, position_names},
    {"norm_eps", NUMBER, AT(mixer.norm_eps), 0, 1, NULL},
    {"head_norm", CHOICE, AT(mixer.head_norm), 0, 0, head_norm_names},
    {"head_norm_weight", CHOICE, AT(mixer.head_norm_weight), 0, 0, head_weight_names},
    {"output_gate", BOOL, AT(mixer.output_gate), 0, 0, NULL},
    {"bias", BOOL, AT(mixer.bias), 0, 0, NULL},
    {"tied", BOOL, AT(tied), 0, 0, NULL},
    {"embedding_scale", NUMBER, AT(embedding_scale), 0, 1e6, NULL},
    {"embedding_norm", BOOL, AT(embedding_norm), 0, 0, NULL},
    {"pad_token", TOKEN, AT(pad_token), 0, MAX_VOCAB - 1, NULL},
    {"residual_scale", NUMBER, AT(residual_scale), 0, 1e6, NULL},
    {"rotary", CHOICE, AT(mixer.rotary), 0, 0, rotary_names},
    {"angles", ANGLES, AT(mixer.angles), -1e6, 1e6, NULL},
    {"row_norm", CHOICE, AT(row_norm), 0, 0, row_norm_names},
    {"decays", DECAYS, AT(mixer.decays), 0, 1, NULL},
    {"dropout", NUMBER, AT(dropout), 0, 0.95, NULL},
    {"init", CHOICE, AT(init), 0, 0, init_names},
    {"init_std", NUMBER, AT(init_std), 0, 1e3, NULL},
};
#define FIELDS (sizeof fields / sizeof fields[0])

rn_config rn_config_defaults(void)
{
    return (rn_config){
        .mixer = {.kind = rn_mixer_at(0), .norm_eps = 1e-6, .output_gate = true},
        .embedding_scale = 1.0,
        .residual_scale = 1.0,
        .init_std = 0.02};
}

static rn_status wrong_type(const field *f, const char *wanted, rn_error *err)
{
    return rn_fail(err, RN_EFORMAT, "config key '%s' is not %s", f->key, wanted);
}

static rn_status out_of_range(const field *f, double value, rn_error *err)
{
    return rn_fail(err, RN_EINVAL, "config key '%s' is %g, outside %g..%g", f->key, value,
                   f->least, f->most);
}

static rn_status read_choice(const field *f, const json_t *v, void *to, rn_error *err)
{
    const char *text = json_string_value(v);
    if (!text) return wrong_type(f, "a string", err);
    for (int i = 0; f->names[i]; i++) {
        if (strcmp(f->names[i], text) == 0) {
            memcpy(to, &i, sizeof i); /* every enum here is as wide as an int */
            return RN_OK;
        }
    }
    char all[200] = "";
    for (int i = 0; f->names[i]; i++) {
        strncat(all, i ? ", " : "", sizeof all - strlen(all) - 1);
        strncat(all, f->names[i], sizeof all - strlen(all) - 1);
    }
    return rn_fail(err, RN_EINVAL, "config key '%s' is \"%.60s\", not one of %s", f->key,
                   text, all);
}

static rn_status read_list(const field *f, const json_t *v, double *to, size_t room,
                           rn_error *err)
{
    size_t n = json_array_size(v);
    if (n > room)
        return rn_fail(err, RN_EINVAL,
                       "config key '%s' has %zu numbers, at most %zu are "
                       "possible",
                       f->key, n, room);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(v, i);
        if (!json_is_number(item)) return wrong_type(f, "a list of numbers", err);
        double x = json_number_value(item);
        if (!(x >= f->least && x <= f->most)) return out_of_range(f, x, err);
    }
    for (size_t i = 0; i < n; i++) to[i] = json_number_value(json_array_get(v, i));
    return RN_OK;
}

/* A list with one gamma a head, or the name of a rule. Gamma 0 forgets everything and has
   no logarithm. */
static rn_status read_decays(const field *f, const json_t *v, rn_mixer_config *m,
                             rn_error *err)
{
    if (!json_is_array(v)) {
        field rule = *f;
        rule.names = decay_rule_names;
        return read_choice(&rule, v, &m->decay_rule, err);
    }
    for (size_t i = 0; i < json_array_size(v); i++)
        if (json_number_value(json_array_get(v, i)) == 0.0)
            return rn_fail(err, RN_EINVAL,
                           "config key 'decays' has %g at head %zu, outside "
                           "(0, 1]",
                           0.0, i);
    rn_status st = read_list(f, v, m->decays, RN_MAX_HEADS, err);
    if (st) return st;
    m->decay_rule = RN_DECAY_LISTED;
    m->decay_count = json_array_size(v);
    return RN_OK;
}

static rn_status read_size(const field *f, const json_t *v, void *to, rn_error *err)
{
    if (!json_is_integer(v)) return wrong_type(f, "a whole number", err);
    json_int_t n = json_integer_value(v);
    if (n < (json_int_t)f->least || n > (json_int_t)f->most)
        return out_of_range(f, (double)n, err);
    size_t value = (size_t)n;
    memcpy(to, &value, sizeof value);
    return RN_OK;
}

static rn_status read_token(const field *f, const json_t *v, size_t *to, rn_error *err)
{
    size_t id = 0;
    rn_status st = json_is_null(v) ? RN_OK : read_size(f, v, &id, err);
    if (!st) *to = json_is_null(v) ? 0 : id + 1;
    return st;
}

static rn_status read_number(const field *f, const json_t *v, double *to, rn_error *err)
{
    if (!json_is_number(v)) return wrong_type(f, "a number", err);
    double x = json_number_value(v);
    if (!(x >= f->least && x <= f->most)) return out_of_range(f, x, err);
    *to = x;
    return RN_OK;
}

static rn_status read_mixer(const field *f, const json_t *v, rn_mixer_config *m,
                            rn_error *err)
{
    const char *name = json_string_value(v);
    if (!name) return wrong_type(f, "a string", err);
    const rn_mixer *kind = rn_mixer_find(name);
    if (!kind)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "config key 'mixer': there is no mixer \"%.60s\"", name);
    m->kind = kind;
    return RN_OK;
}

static rn_status read_field(rn_config *c, const field *f, const json_t *v, rn_error *err)
{
    void *to = (char *)c + f->offset;
    switch (f->kind) {
    case SIZE: return read_size(f, v, to, err);
    case BOOL:
        if (!json_is_boolean(v)) return wrong_type(f, "true or false", err);
        *(bool *)to = json_is_true(v);
        return RN_OK;
    case NUMBER: return read_number(f, v, to, err);
    case CHOICE: return read_choice(f, v, to, err);
    case TOKEN: return read_token(f, v, to, err);
    case MIXER: return read_mixer(f, v, &c->mixer, err);
    case DECAYS: return read_decays(f, v, &c->mixer, err);
    case ANGLES: {
        if (!json_is_array(v)) return wrong_type(f, "a list of numbers", err);
        rn_status st = read_list(f, v, c->mixer.angles, RN_MAX_HEAD_WIDTH / 2, err);
        if (!st) c->mixer.angle_count = json_array_size(v);
        return st;
    }
    }
    return RN_EINVAL;
}

static const field *find_field(const char *key)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(fields[i].key, key) == 0) return &fields[i];
    return NULL;
}

rn_status rn_config_apply(rn_config *config, const json_t *keys, rn_error *err)
{
    if (!json_is_object(keys))
        return rn_fail(err, RN_EFORMAT, "the config is not a JSON object");
    rn_config next = *config;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)keys, key, value)
    {
        if (strcmp(key, "format") == 0 || strcmp(key, "version") == 0) continue;
        const field *f = find_field(key);
        if (!f) return rn_fail(err, RN_EINVAL, "unknown config key '%.60s'", key);
        rn_status st = read_field(&next, f, value, err);
        if (st) return st;
    }
    *config = next;
    return RN_OK;
}

/* Numbers separated by commas, or a JSON array as config.json and `retnet info` show it;
   NULL when it is neither. */
static json_t *parse_list(const char *text)
{
    if (*text == '[') return json_loads(text, 0, NULL);
    json_t *list = json_array();
    while (list) {
        char *end;
        double x = strtod(text, &end);
        if (end == text || (*end && *end != ',') || !isfinite(x)) break;
        if (json_array_append_new(list, json_real(x))) break;
        if (!*end) return list;
        text = end + 1;
    }
    json_decref(list);
    return NULL;
}

/* The text after "key=" as the JSON value that the field wants; NULL when it is none. */
static json_t *parse_value(const field *f, const char *text)
{
    char *end;
    if (f->kind == SIZE || f->kind == TOKEN) {
        errno = 0;
        long long n = strtoll(text, &end, 10);
        return end != text && !*end && !errno ? json_integer(n) : NULL;
    }
    if (f->kind == NUMBER) {
        double x = strtod(text, &end);
        return end != text && !*end ? json_real(x) : NULL;
    }
    if (f->kind == BOOL) {
        if (strcmp(text, "true") == 0) return json_true();
        return strcmp(text, "false") == 0 ? json_false() : NULL;
    }
    json_t *list = f->kind == ANGLES || f->kind == DECAYS ? parse_list(text) : NULL;
    return list ? list : json_string(text);
}

rn_status rn_config_set(rn_config *config, const char *assignment, rn_error *err)
{
    const char *equals = strchr(assignment, '=');
    char key[64];
    size_t n = equals ? (size_t)(equals - assignment) : 0;
    if (n == 0 || n >= sizeof key)
        return rn_fail(err, RN_EINVAL, "setting \"%.80s\" is not key=value", assignment);
    memcpy(key, assignment, n);
    key[n] = '\0';
    const field *f = find_field(key);
    if (!f) return rn_fail(err, RN_EINVAL, "unknown config key '%s'", key);
    json_t *value = parse_value(f, equals + 1);
    if (!value)
        return rn_fail(err, RN_EINVAL, "config key '%s' cannot be \"%.80s\"", key,
                       equals + 1);
    rn_status st = read_field(config, f, value, err);
    json_decref(value);
    return st;
}

static double decay_by_rule(const rn_mixer_config *m, size_t h)
{
    if (m->decay_rule == RN_DECAY_TENTHS) return 1.0 - exp2(-(double)h) / 10.0;
    if (m->decay_rule == RN_DECAY_POWERS) return 1.0 - exp2(-5.0 - (double)h);
    double first = log(1.0 / 32), last = log(1.0 / 512);
    double at = m->heads > 1 ? (double)h / (double)(m->heads - 1) : 0.0;
    return 1.0 - exp(first + (last - first) * at);
}

static void fill_in(rn_mixer_config *m)
{
    if (m->kv_heads == 0) m->kv_heads = m->heads;
    if (m->key_dim == 0 && m->heads) m->key_dim = m->width / m->heads;
    if (m->value_dim == 0 && m->heads) m->value_dim = 2 * m->width / m->heads;
    if (m->decay_rule == RN_DECAY_LISTED) return;
    for (size_t h = 0; h < m->heads; h++) m->decays[h] = decay_by_rule(m, h);
    m->decay_count = m->heads;
}

static rn_status check_mixer(const rn_mixer_config *m, rn_error *err)
{
    if (m->heads == 0 || m->heads > RN_MAX_HEADS)
        return rn_fail(err, RN_EINVAL, "config key 'heads' is %zu, outside 1..%d",
                       m->heads, RN_MAX_HEADS);
    if (m->heads % m->kv_heads)
        return rn_fail(err, RN_EINVAL, "config: kv_heads %zu does not divide heads %zu",
                       m->kv_heads, m->heads);
    if (m->key_dim == 0 || m->key_dim > RN_MAX_HEAD_WIDTH)
        return rn_fail(err, RN_EINVAL,
                       "config: key_dim is %zu (width %zu, heads %zu), outside "
                       "1..%d",
                       m->key_dim, m->width, m->heads, RN_MAX_HEAD_WIDTH);
    if (m->value_dim == 0 || m->value_dim > RN_MAX_HEAD_WIDTH)
        return rn_fail(err, RN_EINVAL,
                       "config: value_dim is %zu (width %zu, heads %zu), "
                       "outside 1..%d",
                       m->value_dim, m->width, m->heads, RN_MAX_HEAD_WIDTH);
    if (m->rotary != RN_ROTARY_NONE && m->key_dim % 2)
        return rn_fail(err, RN_EINVAL,
                       "config: key_dim %zu is odd, which rotary position "
                       "cannot pair",
                       m->key_dim);
    if (m->angle_count && m->angle_count != m->key_dim / 2)
        return rn_fail(err, RN_EINVAL,
                       "config: %zu angles for key_dim %zu, which needs %zu",
                       m->angle_count, m->key_dim, m->key_dim / 2);
    if (m->decay_count != m->heads)
        return rn_fail(err, RN_EINVAL, "config: %zu decays for %zu heads", m->decay_count,
                       m->heads);
    return RN_OK;
}

rn_status rn_config_check(rn_config *config, rn_error *err)
{
    rn_config c = *config;
    fill_in(&c.mixer);
    if (c.ffn_width == 0) c.ffn_width = 2 * c.mixer.width;
    if (c.vocab_size == 0)
        return rn_fail(err, RN_EINVAL, "config key 'vocab_size' is missing");
    if (c.mixer.width == 0)
        return rn_fail(err, RN_EINVAL, "config key 'width' is missing");
    if (c.layers == 0) return rn_fail(err, RN_EINVAL, "config key 'layers' is missing");
    rn_status st = check_mixer(&c.mixer, err);
    if (st) return st;
    if (c.pad_token > c.vocab_size)
        return rn_fail(err, RN_EINVAL,
                       "config: pad_token %zu is not below vocab_size %zu",
                       c.pad_token - 1, c.vocab_size);
    double growth = 2.0 * (double)c.layers * log2(fmax(c.residual_scale, 1.0));
    if (c.norm_position == RN_NORM_PRE && growth > 60.0)
        return rn_fail(err, RN_EINVAL,
                       "config: residual_scale %g multiplies the skip path %zu "
                       "times, which overflows with norm_position pre",
                       c.residual_scale, 2 * c.layers);
    *config = c;
    return RN_OK;
}

static json_t *list_json(const double *values, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        json_array_append_new(list, json_real(values[i]));
    return list;
}

static json_t *field_json(const rn_config *c, const field *f)
{
    const void *from = (const char *)c + f->offset;
    int choice;
    size_t size;
    switch (f->kind) {
    case SIZE: memcpy(&size, from, sizeof size); return json_integer((json_int_t)size);
    case BOOL: return json_boolean(*(const bool *)from);
    case NUMBER: return json_real(*(const double *)from);
    case CHOICE:
        memcpy(&choice, from, sizeof choice);
        return json_string(f->names[choice]);
    case TOKEN:
        memcpy(&size, from, sizeof size);
        return json_integer((json_int_t)size - 1);
    case MIXER: return json_string(c->mixer.kind->name);
    case DECAYS: return list_json(c->mixer.decays, c->mixer.decay_count);
    case ANGLES: return list_json(c->mixer.angles, c->mixer.angle_count);
    }
    return NULL;
}

/* Keys that almost no model has another value of than 0, and which are not written then.
 */
static bool is_left_out(const rn_config *c, const field *f)
{
    switch (f->kind) {
    case ANGLES: return c->mixer.angle_count == 0;
    case TOKEN: return c->pad_token == 0;
    case CHOICE:
        if (f->names == ffn_norm_names) return c->ffn_norm_kind == RN_FFN_NORM_LAYERS;
        return f->names == ffn_bias_names && c->ffn_bias == RN_FFN_BIAS_MIXER;
    default: return false;
    }
}

json_t *rn_config_json(const rn_config *config)
{
    json_t *o = json_object();
    if (!o) return NULL;
    json_object_set_new(o, "format", json_string("retnet"));
    json_object_set_new(o, "version", json_integer(1));
    for (size_t i = 0; i < FIELDS; i++) {
        if (is_left_out(config, &fields[i])) continue;
        if (json_object_set_new(o, fields[i].key, field_json(config, &fields[i]))) {
            json_decref(o);
            return NULL;
        }
    }
    return o;
}

bool rn_config_ffn_bias(const rn_config *config)
{
    if (config->ffn_bias == RN_FFN_BIAS_MIXER) return config->mixer.bias;
    return config->ffn_bias == RN_FFN_BIAS_ALL;
}

bool rn_config_ffn_norm_centers(const rn_config *config)
{
    if (config->ffn_norm_kind == RN_FFN_NORM_LAYERS) return config->norm == RN_NORM_LAYER;
    return config->ffn_norm_kind == RN_FFN_NORM_LAYER;
}

rn_status rn_config_row_norm(const rn_config *config, rn_row_norm asked, rn_form form,
                             rn_row_norm *out, rn_error *err)
{
    if ((unsigned)asked > RN_ROW_NORM_AUTO || (unsigned)form > RN_FORM_RECURRENT)
        return rn_fail(err, RN_EINVAL, "there is no row normaliser %d or no form %d",
                       (int)asked, (int)form);
    const bool parallel = form == RN_FORM_PARALLEL;
    int norm = asked == RN_ROW_NORM_AUTO ? config->row_norm : (int)asked;
    if (norm == RN_ROW_NORM_AUTO)
        norm = parallel ? RN_ROW_NORM_TORCHSCALE : RN_ROW_NORM_DECAY;
    if (norm == RN_ROW_NORM_PAPER_PARALLEL)
        norm = parallel ? RN_ROW_NORM_PAPER : RN_ROW_NORM_DECAY;
    if (norm == RN_ROW_NORM_TORCHSCALE && form != RN_FORM_PARALLEL) {
        if (asked == RN_ROW_NORM_TORCHSCALE)
            return rn_fail(err, RN_EINVAL,
                           "the torchscale row normaliser exists in the "
                           "parallel form only");
        norm = RN_ROW_NORM_DECAY;
    }
    *out = (rn_row_norm)norm;
    return RN_OK;
}
