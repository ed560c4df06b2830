/* Changing the config of a model that has its weights: keys that leave every parameter
   its name and shape. */
#include "model/model.h"
#include "model/params.h"

#include <string.h>

static bool same_param(const rn_param *a, const rn_param *b)
{
    return strcmp(a->name, b->name) == 0 && a->dims == b->dims &&
           a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1];
}

/* Whether the parameters of two configs lie and mean the same. */
static bool same_params(const rn_model *a, const rn_model *b)
{
    if (a->config.mixer.kind != b->config.mixer.kind || a->param_count != b->param_count)
        return false;
    for (size_t i = 0; i < a->param_count; i++)
        if (!same_param(&a->params[i], &b->params[i])) return false;
    return true;
}

static rn_status apply(rn_config *config, const rn_model *model, const char *setting,
                       rn_error *err)
{
    rn_config next = *config;
    rn_model *plan;
    rn_status st = rn_config_set(&next, setting, err);
    if (!st) st = rn_config_check(&next, err);
    if (!st) st = rn_model_new(&plan, NULL, &next, err);
    if (st) return st;
    bool same = same_params(model, plan);
    rn_model_free(plan);
    if (!same)
        return rn_fail(err, RN_EINVAL,
                       "setting \"%.80s\" changes the shape of a model that has its "
                       "weights",
                       setting);
    *config = next;
    return RN_OK;
}

rn_status rn_model_set(rn_model *model, const char *const *settings, size_t count,
                       rn_error *err)
{
    if (model->reader || model->decoder)
        return rn_fail(err, RN_EINVAL,
                       "set: the model has, or had, sessions, whose working memory is of "
                       "the present config");
    rn_config next = model->config;
    for (size_t i = 0; i < count; i++) {
        rn_status st = apply(&next, model, settings[i], err);
        if (st) return st;
    }
    model->config = next;
    return RN_OK;
}
