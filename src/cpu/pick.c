/* Which variant fills which slot: references, then the slots that AVX2 has, then those
   that AVX-512 has. A slot that a variant does not name keeps what was below it. */
#include "cpu/cpu.h"
#include "cpu/variants.h"

#if defined(__x86_64__)

static void pick_avx2(rn_kernels *k)
{
    k->gemm = rn_gemm_avx2;
    k->matvec = rn_matvec_avx2;
    k->norm_fwd = rn_norm_fwd_avx2;
    k->norm_bwd = rn_norm_bwd_avx2;
    k->headnorm_fwd = rn_headnorm_fwd_avx2;
    k->headnorm_bwd = rn_headnorm_bwd_avx2;
    k->act_fwd = rn_act_fwd_avx2;
    k->act_bwd = rn_act_bwd_avx2;
    k->glu_fwd = rn_glu_fwd_avx2;
    k->glu_bwd = rn_glu_bwd_avx2;
    k->rotary = rn_rotary_avx2;
    k->scale_rows = rn_scale_rows_avx2;
    k->bias_fwd = rn_bias_fwd_avx2;
    k->bias_bwd = rn_bias_bwd_avx2;
    k->embed_fwd = rn_embed_fwd_avx2;
    k->embed_bwd = rn_embed_bwd_avx2;
    k->xent_fwd = rn_xent_fwd_avx2;
    k->xent_bwd = rn_xent_bwd_avx2;
    k->dropout = rn_dropout_avx2;
    k->axpby = rn_axpby_avx2;
    k->sumsq = rn_sumsq_avx2;
    k->adamw = rn_adamw_avx2;
    k->retention_fwd = rn_retention_fwd_avx2;
    k->retention_step = rn_retention_step_avx2;
    k->retention_bwd = rn_retention_bwd_avx2;
    k->retention_decode = rn_retention_decode_avx2;
    k->linear_bf16 = rn_linear_bf16_avx2;
    k->linear_f16 = rn_linear_f16_avx2;
    k->acts_bf16 = rn_acts_bf16_avx2;
    k->linear_q8_0 = rn_linear_q8_0_avx2;
    k->linear_q4_0 = rn_linear_q4_0_avx2;
    k->linear_q4_k = rn_linear_q4_k_avx2;
    k->linear_q6_k = rn_linear_q6_k_avx2;
    k->acts_q8 = rn_acts_q8_avx2;
}

static void pick_avx512(rn_kernels *k)
{
    k->gemm = rn_gemm_avx512;
    k->matvec = rn_matvec_avx512;
    k->norm_fwd = rn_norm_fwd_avx512;
    k->norm_bwd = rn_norm_bwd_avx512;
    k->headnorm_fwd = rn_headnorm_fwd_avx512;
    k->headnorm_bwd = rn_headnorm_bwd_avx512;
    k->act_fwd = rn_act_fwd_avx512;
    k->act_bwd = rn_act_bwd_avx512;
    k->glu_fwd = rn_glu_fwd_avx512;
    k->glu_bwd = rn_glu_bwd_avx512;
    k->rotary = rn_rotary_avx512;
    k->scale_rows = rn_scale_rows_avx512;
    k->bias_fwd = rn_bias_fwd_avx512;
    k->bias_bwd = rn_bias_bwd_avx512;
    k->embed_fwd = rn_embed_fwd_avx512;
    k->embed_bwd = rn_embed_bwd_avx512;
    k->xent_fwd = rn_xent_fwd_avx512;
    k->xent_bwd = rn_xent_bwd_avx512;
    k->dropout = rn_dropout_avx512;
    k->axpby = rn_axpby_avx512;
    k->sumsq = rn_sumsq_avx512;
    k->adamw = rn_adamw_avx512;
    k->retention_fwd = rn_retention_fwd_avx512;
    k->retention_step = rn_retention_step_avx512;
    k->retention_bwd = rn_retention_bwd_avx512;
    k->retention_decode = rn_retention_decode_avx512;
    k->linear_bf16 = rn_linear_bf16_avx512;
    k->linear_f16 = rn_linear_f16_avx512;
    k->acts_bf16 = rn_acts_bf16_avx512;
    k->linear_q8_0 = rn_linear_q8_0_avx512;
    k->linear_q4_0 = rn_linear_q4_0_avx512;
    k->linear_q4_k = rn_linear_q4_k_avx512;
    k->linear_q6_k = rn_linear_q6_k_avx512;
    k->acts_q8 = rn_acts_q8_avx512;
}

static void pick_vnni(rn_kernels *k)
{
    k->linear_q8_0 = rn_linear_q8_0_avx512vnni;
    k->linear_q4_0 = rn_linear_q4_0_avx512vnni;
    k->linear_q4_k = rn_linear_q4_k_avx512vnni;
    k->linear_q6_k = rn_linear_q6_k_avx512vnni;
}

static void pick_bf16(rn_kernels *k)
{
    k->gemm_bf16 = rn_gemm_bf16_avx512bf16;
    k->linear_bf16_bf16 = rn_linear_bf16_bf16_avx512bf16;
}

#endif

void rn_kernels_pick(rn_kernels *k, unsigned cpu)
{
    rn_kernels_ref(k);
#if defined(__x86_64__)
    if (cpu & RN_CPU_AVX2) pick_avx2(k);
    if (cpu & RN_CPU_AVX512) pick_avx512(k);
    if (cpu & RN_CPU_VNNI) pick_vnni(k);
    if (cpu & RN_CPU_BF16) pick_bf16(k);
#else
    (void)cpu;
#endif
}
