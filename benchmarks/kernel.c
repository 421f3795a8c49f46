/* The model of MODEL.md, sections 3 and 4, as fast as C gets it: a yardstick for the engines.
 *
 * It serves one stretch in which the world stays the same, numbers that all agents share, and the
 * exact estimator. c_kernel.py compiles it, fills in a `struct run` and calls `train`.
 *
 * ROWS agents go through the whole run side by side. Everything about them is `rows`, so it stays
 * in the first cache, and every innermost loop (EACH_ROW) becomes a few vector instructions. There
 * are several short loops over contexts, because in one long loop the processor would not see
 * enough contexts at a time to hide how long exp and division take.
 *
 * What goes into an exponential function is kept in bits (times LOG2E): 2^x is cheaper than e^x.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 16
#define LOG2E 1.4426950408889634
#define LN2 0.6931471805599453
#define INLINE static inline __attribute__((always_inline))
#define EACH_ROW _Pragma("omp simd") for (int j = 0; j < ROWS; j++)

typedef double rows[ROWS] __attribute__((aligned(64)));

enum trait {
    DECISIVENESS, DISCERNMENT, INFO_SENSITIVITY, SCRATCHPAD_SENSITIVITY,
    REASONING_COST, SCRATCHPAD_SAVING, EPISODE_CONCERN, RATIONALITY, TRAITS
};
/* The rows of theta after values and habits. */
enum single { AWARENESS, LOG_HORIZON, LOG_COMPETENCE, OPACITY, CAPABILITIES = 5, SINGLES = 8 };

/* As in sim/dynamics/compile.py. C counts contexts that are trained on, H all of them. */
struct run {
    int64_t agents, steps, values, habits, contexts, others, replicator;
    const int64_t *places;                                      /* [C] */
    const double *features;                                     /* [K - 1, C, D] */
    const double *reward, *present;                             /* [K - 1, C] */
    const double *weight, *info, *scratchpad, *cue, *monitor;   /* [C] */
    const double *similarity;                                   /* [H, C] */
    const double *traits;                                       /* [TRAITS, N] */
    const double *transfer;                                     /* [CAPABILITIES] */
    const double *learning_rate;                                /* [P] */
    const double *origin;                                       /* [P, N] */
    double *theta;                                              /* [P, N], changed in place */
    double motive_credit, leak, spread, anchor, visible_gaming_penalty;
};

/* ROWS agents: what they are and what they have in mind. */
struct block {
    rows *theta, *origin;                               /* [P] */
    rows *unsalience, *foresight, *cost;                /* [C]: see attend() */
    rows *utility, *value, *gaming, *coefficients;      /* [K - 1, C]: u, pi^v, pi^r, W */
    rows *awareness, *stake, *decision, *rate;          /* [C]: a, tau lambda b stake, d, g */
    rows *pressure, *gate, *advantage;                  /* [C]: p a dR, Gamma, dR */
    rows *utility_mean, *reward_mean, *covariance;      /* [C]: under pi^v, for K > 2 */
    rows *gap, *gaming_variance, *gaming_covariance;    /* [C]: for K > 2 */
    rows beta, concern;                                 /* beta, tau mu */
    rows horizon, competence, unawareness, opacity;     /* exp of l, varsigma and -alpha; k */
};

/* 2^x to 1e-15 for |x| <= 165; beyond, a chance is 0 or 1, and a product of six still finite.
 * Adding and taking away 1.5 * 2^52 rounds x (-ffast-math would leave that out); the lowest bits of
 * the sum are then the whole part of x, and go into the exponent. The polynomial, minimax and cut
 * into even and odd, is for the rest. */
INLINE double two_to_the(double x)
{
    x = x < -165.0 ? -165.0 : x;
    x = x > 165.0 ? 165.0 : x;
    const double shifted = x + 0x1.8p52, r = x - (shifted - 0x1.8p52), square = r * r;
    double even = 7.034279144959893e-09, odd = 1.0206801846009059e-07;
    even = even * square + 1.3215670662906597e-06;
    odd = odd * square + 1.5252668636159699e-05;
    even = even * square + 0.00015403529978875877;
    odd = odd * square + 0.0013333558206666506;
    even = even * square + 0.009618129107969085;
    odd = odd * square + 0.05550410866463732;
    even = even * square + 0.24022650695909262;
    odd = odd * square + LN2;
    even = even * square + 1.0;
    double result = odd * r + even;
    int64_t exponent, bits;
    memcpy(&exponent, &shifted, sizeof exponent);
    memcpy(&bits, &result, sizeof bits);
    bits += (int64_t)((uint64_t)exponent << 52);
    memcpy(&result, &bits, sizeof result);
    return result;
}

INLINE double logistic(double x) { return 1.0 / (1.0 + two_to_the(-LOG2E * x)); }

/* x := 1 / x, with one division for two rows, because division takes longest. */
INLINE void invert(double *x)
{
    rows from;
    EACH_ROW from[j] = x[j];
    _Pragma("omp simd") for (int j = 0; j < ROWS / 2; j++) {
        const double inverse = 1.0 / (from[j] * from[j + ROWS / 2]);
        x[j] = inverse * from[j + ROWS / 2];
        x[j + ROWS / 2] = inverse * from[j];
    }
}

/* exp(-chi i - gamma s), -tau b beta in bits (times R for K = 2) and
 * tau kappa (1 - zeta s) in bits. */
INLINE void attend(const struct run *run, struct block *b, const rows *traits, const bool two)
{
    for (int64_t c = 0; c < run->contexts; c++) {
        const double info = run->info[c], scratchpad = run->scratchpad[c], cue = run->cue[c];
        const double scale = two ? -LOG2E * run->reward[c] : -LOG2E;
        EACH_ROW {
            const double tau = traits[RATIONALITY][j];
            const double salience = traits[INFO_SENSITIVITY][j] * info
                + traits[SCRATCHPAD_SENSITIVITY][j] * scratchpad;
            b->unsalience[c][j] = two_to_the(-LOG2E * salience);
            b->foresight[c][j] =
                scale * tau * traits[DECISIVENESS][j] * logistic(traits[DISCERNMENT][j] * cue);
            b->cost[c][j] = LOG2E * tau * traits[REASONING_COST][j]
                * (1.0 - traits[SCRATCHPAD_SAVING][j] * scratchpad);
        }
    }
    EACH_ROW b->beta[j] = traits[DECISIVENESS][j];
    EACH_ROW b->concern[j] = traits[RATIONALITY][j] * traits[EPISODE_CONCERN][j];
}

/* u = phi v, and what is the same in all contexts. */
INLINE void prefer(const struct run *run, struct block *b, const bool extras)
{
    const rows *single = b->theta + run->values + run->habits;
    EACH_ROW b->horizon[j] = two_to_the(LOG2E * single[LOG_HORIZON][j]);
    EACH_ROW b->competence[j] = two_to_the(LOG2E * single[LOG_COMPETENCE][j]);
    EACH_ROW b->unawareness[j] = two_to_the(-LOG2E * single[AWARENESS][j]);
    if (extras)
        EACH_ROW b->opacity[j] = logistic(single[OPACITY][j]);
    for (int64_t i = 0; i < run->others * run->contexts; i++) {
        const double *phi = run->features + i * run->values;
        rows u = {0};
        for (int64_t d = 0; d < run->values; d++)
            EACH_ROW u[j] += phi[d] * b->theta[d][j];
        EACH_ROW b->utility[i][j] = u[j];
    }
}

/* For K = 2, where a policy is one chance: policies, awareness, stake, and -(h + tau I) in bits. */
INLINE void perceive_two(const struct run *run, struct block *b)
{
    rows falling, rising, concern;
    EACH_ROW falling[j] = -LOG2E * b->beta[j];
    EACH_ROW rising[j] = -LOG2E * b->competence[j];
    EACH_ROW concern[j] = LOG2E * b->concern[j];
    for (int64_t c = 0; c < run->contexts; c++) {
        const double reward = run->reward[c];
        EACH_ROW b->value[c][j] = two_to_the(falling[j] * b->utility[c][j]);
        EACH_ROW b->gaming[c][j] = two_to_the(rising[j] * reward);
    }
    for (int64_t c = 0; c < run->contexts; c++) {
        const double *habit = b->theta[run->values + run->places[c]];
        rows x, y, z, inverse; /* one division for three logistic functions */
        EACH_ROW x[j] = 1.0 + b->value[c][j];
        EACH_ROW y[j] = 1.0 + b->gaming[c][j];
        EACH_ROW z[j] = 1.0 + b->unawareness[j] * b->unsalience[c][j];
        EACH_ROW inverse[j] = x[j] * y[j] * z[j];
        invert(inverse);
        EACH_ROW {
            const double rest = inverse[j] * z[j], pv = rest * y[j], pr = rest * x[j];
            const double u = b->utility[c][j];
            const double stake = b->horizon[j] * b->foresight[c][j] * ((pv - pv * pv) * u);
            b->value[c][j] = pv;
            b->gaming[c][j] = pr;
            b->awareness[c][j] = inverse[j] * (x[j] * y[j]);
            b->stake[c][j] = stake;
            b->decision[c][j] =
                b->cost[c][j] + concern[j] * ((pv - pr) * u) - LOG2E * habit[j] - stake;
        }
    }
}

/* Turn logits in bits, [K - 1] of them `stride` apart, into chances. */
INLINE void softmax(rows *logits, const double *present, int64_t others, int64_t stride)
{
    rows highest = {0}, total;
    for (int64_t i = 0; i < others * stride; i += stride)
        EACH_ROW highest[j] = logits[i][j] > highest[j] ? logits[i][j] : highest[j];
    EACH_ROW total[j] = two_to_the(-highest[j]);
    for (int64_t i = 0; i < others * stride; i += stride) {
        const double there = present[i];
        EACH_ROW logits[i][j] = there * two_to_the(logits[i][j] - highest[j]);
        EACH_ROW total[j] += logits[i][j];
    }
    EACH_ROW total[j] = 1.0 / total[j];
    for (int64_t i = 0; i < others * stride; i += stride)
        EACH_ROW logits[i][j] *= total[j];
}

/* The same for any K, and the means over responses that learning needs. */
INLINE void perceive_many(const struct run *run, struct block *b)
{
    const int64_t contexts = run->contexts, all = run->others * contexts;
    for (int64_t i = 0; i < all; i++) {
        const double reward = LOG2E * run->reward[i];
        EACH_ROW b->value[i][j] = LOG2E * b->beta[j] * b->utility[i][j];
        EACH_ROW b->gaming[i][j] = b->competence[j] * reward;
    }
    for (int64_t c = 0; c < contexts; c++) {
        softmax(b->value + c, run->present + c, run->others, contexts);
        softmax(b->gaming + c, run->present + c, run->others, contexts);
        rows vu = {0}, vr = {0}, vur = {0}, gu = {0}, gr = {0}, gur = {0}, grr = {0};
        for (int64_t i = c; i < all; i += contexts) {
            const double reward = run->reward[i];
            EACH_ROW {
                const double u = b->utility[i][j], v = b->value[i][j], g = b->gaming[i][j];
                vu[j] += v * u;
                vr[j] += v * reward;
                vur[j] += v * u * reward;
                gu[j] += g * u;
                gr[j] += g * reward;
                gur[j] += g * u * reward;
                grr[j] += g * reward * reward;
            }
        }
        const double *habit = b->theta[run->values + run->places[c]];
        EACH_ROW {
            const double covariance = vur[j] - vu[j] * vr[j];
            const double stake = b->horizon[j] * b->foresight[c][j] * covariance;
            b->utility_mean[c][j] = vu[j];
            b->reward_mean[c][j] = vr[j];
            b->covariance[c][j] = covariance;
            b->gap[c][j] = gr[j] - vr[j];
            b->gaming_variance[c][j] = grr[j] - gr[j] * gr[j];
            b->gaming_covariance[c][j] = gur[j] - gu[j] * gr[j];
            b->awareness[c][j] = 1.0 / (1.0 + b->unawareness[j] * b->unsalience[c][j]);
            b->stake[c][j] = stake;
            b->decision[c][j] = b->cost[c][j] - stake
                + LOG2E * (b->concern[j] * (vu[j] - gu[j]) - habit[j]);
        }
    }
}

/* d = 1 / (1 + 2^x) of the negative logit x in its place. */
INLINE void decide(const struct run *run, struct block *b)
{
    for (int64_t c = 0; c < run->contexts; c++) {
        double *decision = b->decision[c];
        EACH_ROW decision[j] = 1.0 + two_to_the(decision[j]);
        invert(decision);
    }
}

/* The gate of every context, and all that needs no more: awareness, horizon, capabilities.
 * `extras` says that there is a penalty or a leak. */
INLINE void open_gate(const struct run *run, struct block *b, const bool two, const bool extras)
{
    const double *rate = run->learning_rate + run->values + run->habits;
    rows *single = b->theta + run->values + run->habits;
    rows exposure, aware = {0}, ahead = {0}, practice = {0}, caught = {0};
    if (extras)
        EACH_ROW exposure[j] = run->visible_gaming_penalty * (1.0 - b->opacity[j]);
    for (int64_t c = 0; c < run->contexts; c++) {
        const double p = run->weight[c], reward = run->reward[c];
        const double watched = run->monitor[c] * run->scratchpad[c];
        EACH_ROW {
            const double a = b->awareness[c][j], d = b->decision[c][j], g = a * d;
            double advantage = two ? reward * (b->gaming[c][j] - b->value[c][j]) : b->gap[c][j];
            if (extras) {
                const double penalty = watched * exposure[j];
                advantage -= penalty;
                caught[j] += p * g * penalty;
                b->advantage[c][j] = advantage;
            }
            const double pressure = p * advantage * a, gate = pressure * (d - d * d);
            b->pressure[c][j] = pressure;
            b->gate[c][j] = gate;
            b->rate[c][j] = g;
            aware[j] += pressure * (d - g);
            ahead[j] += gate * b->stake[c][j];
            practice[j] += p * g;
        }
    }
    const double ahead_rate = LN2 * run->motive_credit * rate[LOG_HORIZON];
    EACH_ROW single[AWARENESS][j] += rate[AWARENESS] * aware[j];
    EACH_ROW single[LOG_HORIZON][j] += ahead_rate * ahead[j];
    if (extras)
        EACH_ROW single[OPACITY][j] += rate[OPACITY] * b->opacity[j] * caught[j];
    for (int i = 0; i < CAPABILITIES; i++) {
        const double transfer = rate[OPACITY + i] * run->transfer[i];
        EACH_ROW single[OPACITY + i][j] += transfer * practice[j];
    }
}

/* W for K = 2, and competence. */
INLINE void weigh_two(const struct run *run, struct block *b, const bool extras)
{
    const double omega = run->motive_credit, leak = run->leak;
    const double rate = run->learning_rate[run->values + run->habits + LOG_COMPETENCE];
    rows *single = b->theta + run->values + run->habits;
    rows foresight, concern, steep_concern, able = {0};
    EACH_ROW foresight[j] = LN2 * omega * b->horizon[j];
    EACH_ROW concern[j] = omega * b->concern[j];
    EACH_ROW steep_concern[j] = omega * b->concern[j] * b->beta[j];
    for (int64_t c = 0; c < run->contexts; c++) {
        const double p = run->weight[c], reward = run->reward[c];
        const double once = p * reward, twice = p * reward * reward;
        EACH_ROW {
            const double u = b->utility[c][j], pv = b->value[c][j], pr = b->gaming[c][j];
            const double g = b->rate[c][j], gate = b->gate[c][j], motive = concern[j] * gate;
            const double spread_v = pv - pv * pv, spread_r = pr - pr * pr;
            const double direct = once * b->beta[j], ahead = foresight[j] * b->foresight[c][j];
            const double bend = b->beta[j] * u * (1.0 - 2.0 * pv);
            const double moved = ahead * bend + ahead - steep_concern[j] * u;
            double w = spread_v * (gate * moved + (direct - direct * g)) + motive * (pr - pv);
            if (extras) {
                const double advantage = b->advantage[c][j];
                const double gained = spread_r * reward + (advantage - g * advantage) * (pr - pv);
                w += leak * p * b->beta[j] * g * gained;
            }
            b->coefficients[c][j] = w;
            able[j] += spread_r * (twice * g + motive * (reward * u));
        }
    }
    EACH_ROW single[LOG_COMPETENCE][j] += rate * b->competence[j] * able[j];
}

/* W for any K, and competence. */
INLINE void weigh_many(const struct run *run, struct block *b)
{
    const int64_t contexts = run->contexts, all = run->others * contexts;
    const double omega = run->motive_credit;
    const double rate = run->learning_rate[run->values + run->habits + LOG_COMPETENCE];
    rows *single = b->theta + run->values + run->habits;
    rows able = {0};
    for (int64_t c = 0; c < contexts; c++) {
        const double p = run->weight[c];
        rows direct, ahead, motive, leaking, shared, left;
        EACH_ROW {
            const double g = b->rate[c][j], advantage = b->advantage[c][j];
            direct[j] = p * (1.0 - g) * b->beta[j];
            ahead[j] = LN2 * omega * b->gate[c][j] * b->horizon[j] * b->foresight[c][j];
            motive[j] = omega * b->gate[c][j] * b->concern[j];
            leaking[j] = run->leak * p * g * b->beta[j];
            left[j] = (1.0 - g) * advantage;
            shared[j] = ahead[j] * b->beta[j] * b->covariance[c][j] + leaking[j] * left[j];
            able[j] += p * g * b->gaming_variance[c][j] + motive[j] * b->gaming_covariance[c][j];
        }
        for (int64_t i = c; i < all; i += contexts) {
            const double reward = run->reward[i];
            EACH_ROW {
                const double u = b->utility[i][j] - b->utility_mean[c][j];
                const double r = reward - b->reward_mean[c][j], r_gaming = r - b->gap[c][j];
                const double moved = (1.0 + b->beta[j] * u) * (ahead[j] * r - motive[j]);
                b->coefficients[i][j] =
                    b->value[i][j] * (direct[j] * r + moved - shared[j])
                    + b->gaming[i][j] * (motive[j] + leaking[j] * (r_gaming + left[j]));
            }
        }
    }
    EACH_ROW single[LOG_COMPETENCE][j] += rate * b->competence[j] * able[j];
}

/* K Gamma for habits, phi W for values. */
INLINE void move(const struct run *run, struct block *b)
{
    const int64_t values = run->values, contexts = run->contexts;
    const double *rate = run->learning_rate;
    rows *learnt = run->replicator ? b->pressure : b->gate;
    for (int64_t c = 0; c < contexts; c++) {
        const int64_t i = values + run->places[c];
        const double own = rate[i] * (1.0 - run->spread);
        EACH_ROW b->theta[i][j] += own * learnt[c][j];
    }
    if (run->spread > 0.0)
        for (int64_t h = 0; h < run->habits; h++) {
            const double carried = rate[values + h] * run->spread;
            rows sum = {0};
            for (int64_t c = 0; c < contexts; c++) {
                const double alike = run->similarity[h * contexts + c];
                EACH_ROW sum[j] += alike * learnt[c][j];
            }
            EACH_ROW b->theta[values + h][j] += carried * sum[j];
        }
    for (int64_t d = 0; d < values; d++) {
        rows sum = {0};
        for (int64_t i = 0; i < run->others * contexts; i++) {
            const double phi = run->features[i * values + d];
            EACH_ROW sum[j] += phi * b->coefficients[i][j];
        }
        EACH_ROW b->theta[d][j] += rate[d] * sum[j];
    }
}

/* Pull every parameter towards where it started. */
INLINE void hold(const struct run *run, struct block *b)
{
    const double anchor = run->anchor;
    for (int64_t i = 0; i < run->values + run->habits + SINGLES; i++)
        EACH_ROW b->theta[i][j] -= anchor * (b->theta[i][j] - b->origin[i][j]);
}

/* The whole run of one block; the flags are constants wherever this is called. */
INLINE void train_block(
    const struct run *run, struct block *b, const rows *traits, const bool two, const bool extras)
{
    attend(run, b, traits, two);
    for (int64_t step = 0; step < run->steps; step++) {
        prefer(run, b, extras);
        if (two)
            perceive_two(run, b);
        else
            perceive_many(run, b);
        decide(run, b);
        if (run->anchor > 0.0)
            hold(run, b); /* from here on, theta is only added to */
        open_gate(run, b, two, extras);
        if (two)
            weigh_two(run, b, extras);
        else
            weigh_many(run, b);
        move(run, b);
    }
}

static rows *take(rows **memory, int64_t count)
{
    rows *taken = *memory;
    *memory += count;
    return taken;
}

/* Returns 0, or 1 if there is no memory. */
int train(const struct run *run)
{
    const int64_t parameters = run->values + run->habits + SINGLES, agents = run->agents;
    const int64_t contexts = run->contexts, responses = run->others * contexts;
    const int64_t size = 2 * parameters + 16 * contexts + 4 * responses;
    rows *memory = aligned_alloc(64, size * sizeof(rows)), *left = memory;
    if (memory == NULL)
        return 1;
    struct block b = {
        .theta = take(&left, parameters), .origin = take(&left, parameters),
        .unsalience = take(&left, contexts), .foresight = take(&left, contexts),
        .cost = take(&left, contexts),
        .utility = take(&left, responses), .value = take(&left, responses),
        .gaming = take(&left, responses), .coefficients = take(&left, responses),
        .awareness = take(&left, contexts), .stake = take(&left, contexts),
        .decision = take(&left, contexts), .rate = take(&left, contexts),
        .pressure = take(&left, contexts), .gate = take(&left, contexts),
        .advantage = take(&left, contexts),
        .utility_mean = take(&left, contexts), .reward_mean = take(&left, contexts),
        .covariance = take(&left, contexts), .gap = take(&left, contexts),
        .gaming_variance = take(&left, contexts), .gaming_covariance = take(&left, contexts),
    };
    for (int64_t first = 0; first < agents; first += ROWS) {
        rows traits[TRAITS];
        for (int j = 0; j < ROWS; j++) {
            const int64_t n = first + j < agents ? first + j : agents - 1;
            for (int i = 0; i < TRAITS; i++)
                traits[i][j] = run->traits[i * agents + n];
            for (int64_t i = 0; i < parameters; i++) {
                b.theta[i][j] = run->theta[i * agents + n];
                b.origin[i][j] = run->origin[i * agents + n];
            }
        }
        if (run->others != 1)
            train_block(run, &b, traits, false, true);
        else if (run->leak > 0.0 || run->visible_gaming_penalty > 0.0)
            train_block(run, &b, traits, true, true);
        else
            train_block(run, &b, traits, true, false);
        for (int j = 0; j < ROWS && first + j < agents; j++)
            for (int64_t i = 0; i < parameters; i++)
                run->theta[i * agents + first + j] = b.theta[i][j];
    }
    free(memory);
    return 0;
}
