/* Named shapes. The paper's sizes follow its table of hyper-parameters (arXiv 2307.08621,
   dk 256, dv 512, F = 2D, plain gelu feed-forward, LayerNorm, DeepNet's initialisation);
   the small ones are this project's own, in torchscale's block. Those for bytes go
   without its embedding scale: a tied embedding times sqrt(D) begins by predicting its
   own input. */
#include "model/model.h"

#include "core/error.h"

#include <math.h>
#include <string.h>

typedef enum family { BYTES, SMALL, PAPER } family;

typedef struct preset {
    const char *name, *description;
    family kind;
    size_t vocab_size, width, layers, heads, ffn_width;
    bool tied;
} preset;

static const preset presets[] = {
    {"nano", "1M parameters: trains in minutes on two cores", BYTES, 256, 128, 4, 1, 256,
     true},
    {"shakespeare", "0.83M parameters: the tinyshakespeare comparison", BYTES, 256, 128,
     4, 1, 176, true},
    {"micro", "7.5M parameters", BYTES, 256, 256, 8, 2, 512, true},
    {"34m", "34M parameters, vocabulary 8,192", SMALL, 8192, 512, 8, 4, 1024, true},
    {"268m", "268M parameters, vocabulary 32,000", SMALL, 32000, 1024, 16, 4, 2048, true},
    {"200m", "the paper's 200M (16 layers, width 1,024)", PAPER, 32000, 1024, 16, 4, 2048,
     true},
    {"1.3b", "the paper's 1.3B", PAPER, 32000, 2048, 24, 8, 4096, true},
    {"2.7b", "the paper's 2.7B", PAPER, 32000, 2560, 32, 10, 5120, true},
    {"6.7b", "the paper's 6.7B", PAPER, 32000, 4096, 32, 16, 8192, true},
    {"13b", "the paper's 13B", PAPER, 32000, 5120, 40, 20, 10240, true},
};
#define PRESETS (sizeof presets / sizeof presets[0])

const char *rn_preset_name(size_t index)
{
    return index < PRESETS ? presets[index].name : NULL;
}

const char *rn_preset_description(size_t index)
{
    return index < PRESETS ? presets[index].description : NULL;
}

static void apply(rn_config *c, const preset *p)
{
    *c = rn_config_defaults();
    c->vocab_size = p->vocab_size;
    c->mixer.width = p->width;
    c->mixer.heads = p->heads;
    c->layers = p->layers;
    c->ffn_width = p->ffn_width;
    c->tied = p->tied;
    if (p->kind == BYTES) { /* measured on tinyshakespeare: docs/performance.md */
        c->mixer.decay_rule = RN_DECAY_TENTHS;
        return;
    }
    c->embedding_scale = sqrt((double)p->width);
    if (p->kind == SMALL) return;
    c->mixer.decay_rule = RN_DECAY_SPREAD;
    c->mixer.head_norm = RN_HEAD_NORM_GROUP;
    c->ffn = RN_FFN_PLAIN;
    c->activation = RN_ACT_GELU;
    c->norm = RN_NORM_LAYER;
    c->init = RN_INIT_DEEPNORM;
    c->dropout = 0.1;
}

rn_status rn_config_preset(rn_config *config, const char *name, rn_error *err)
{
    for (size_t i = 0; i < PRESETS; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            apply(config, &presets[i]);
            return RN_OK;
        }
    }
    char all[300] = "";
    for (size_t i = 0; i < PRESETS; i++) {
        strncat(all, i ? ", " : "", sizeof all - strlen(all) - 1);
        strncat(all, presets[i].name, sizeof all - strlen(all) - 1);
    }
    return rn_fail(err, RN_ENOTFOUND, "there is no preset \"%.60s\"; there are %s", name,
                   all);
}
