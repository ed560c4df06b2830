/* The whole public interface of libretnet. */
#ifndef RETNET_RETNET_H
#define RETNET_RETNET_H

#include "retnet/bench.h"
#include "retnet/data.h"
#include "retnet/convert.h"
#include "retnet/eval.h"
#include "retnet/exec.h"
#include "retnet/file.h"
#include "retnet/model.h"
#include "retnet/quantize.h"
#include "retnet/retention.h"
#include "retnet/session.h"
#include "retnet/status.h"
#include "retnet/text.h"
#include "retnet/tokenizer.h"
#include "retnet/train.h"
#include "retnet/types.h"

#endif
