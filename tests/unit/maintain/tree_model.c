/*
 * See tree_model.h.
 */
#include "unit/maintain/tree_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double ZIPF = 0.99;
static const double MB = 1e6;
static const double NO_LIMIT = 1e300;

static void *need(void *memory)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "tree_model: out of memory\n");
        abort();
    }
    return memory;
}

/* ---- How many keys ------------------------------------------------------ */

/* Sum of r^-ZIPF over ranks from `from` to before `to`, nearly. */
static double zipf_sum(double from, double to)
{
    double power = 1 - ZIPF;

    return (pow(to - 0.5, power) - pow(from - 0.5, power)) / power;
}

static void make_classes(tree_model *m)
{
    double total = zipf_sum(1, m->keys + 1);

    m->classes = 0;
    if (m->options.load == TREE_UNIFORM) {
        m->classes = 1;
        m->class_keys[0] = m->keys;
        m->class_share[0] = 1;
        return;
    }
    for (double from = 1; from <= m->keys && m->classes < TREE_CLASSES;
         from *= 2) {
        double to = 2 * from > m->keys ? m->keys + 1 : 2 * from;

        m->class_keys[m->classes] = to - from;
        m->class_share[m->classes++] = zipf_sum(from, to) / total;
    }
}

/* Different keys among `writes` over this share of all keys. */
static double records_of(const tree_model *m, double writes, double share)
{
    double records = 0;

    if (m->options.load == TREE_INSERT || m->options.load == TREE_IN_ORDER) {
        return writes;
    }
    for (uint32_t c = 0; c < m->classes; c++) {
        double keys = m->class_keys[c] * share;

        records += keys * (1 - exp(-writes * m->class_share[c] / keys));
    }
    return records;
}

static double share_of(uint64_t first, uint64_t last)
{
    return (double)(last - first + 1) / (double)TREE_KEYS;
}

/* ---- Parts -------------------------------------------------------------- */

static void reserve(tree_model *m, size_t count)
{
    if (count <= m->capacity) {
        return;
    }
    m->capacity = 2 * count;
    m->parts = need(realloc(m->parts, m->capacity * sizeof(*m->parts)));
    m->contents =
        need(realloc(m->contents, m->capacity * sizeof(*m->contents)));
    m->spare_parts =
        need(realloc(m->spare_parts, m->capacity * sizeof(*m->spare_parts)));
    m->spare_contents = need(
        realloc(m->spare_contents, m->capacity * sizeof(*m->spare_contents)));
    m->choices = need(realloc(m->choices, m->capacity * sizeof(*m->choices)));
}

/* What the outputs of a plan have in common. */
typedef struct output {
    uint32_t level;
    uint32_t run;
    uint64_t from; /* the smallest key */
    uint64_t to;   /* the largest */
    double writes;
    double bytes; /* of all */
    bool is_full;
    uint64_t first_sequence;
    uint64_t last_sequence;
    size_t parts;
} output;

/* Output `index` of out->parts, each of as many keys. */
static void describe(tree_model *m, const output *out, size_t index,
                     compaction_part *ret_part, tree_content *ret_content)
{
    uint64_t span = (out->to - out->from) / out->parts;
    uint64_t first = out->from + span * index + (index > 0 ? 1 : 0);
    uint64_t last =
        index + 1 == out->parts ? out->to : out->from + span * (index + 1);
    double bytes = out->bytes / (double)out->parts;

    *ret_part = (compaction_part){.id = m->next_id++,
                                  .level = out->level,
                                  .run = out->run,
                                  .first_key = first,
                                  .last_key = last,
                                  .bytes = (uint64_t)bytes,
                                  .first_sequence = out->first_sequence,
                                  .last_sequence = out->last_sequence};
    *ret_content = (tree_content){.writes = out->writes / (double)out->parts,
                                  .file_bytes = bytes,
                                  .is_full = out->is_full};
}

double tree_model_file_bytes(const tree_model *m)
{
    double bytes = 0;

    for (size_t i = 0; i < m->count; i++) {
        bytes += m->contents[i].file_bytes;
    }
    return bytes;
}

double tree_model_live_bytes(const tree_model *m)
{
    bool is_new =
        m->options.load == TREE_INSERT || m->options.load == TREE_IN_ORDER;

    return is_new ? m->user_bytes : m->options.live_bytes;
}

uint32_t tree_model_runs(const tree_model *m)
{
    uint32_t runs = 0;

    for (size_t i = 0; i < m->count; i++) {
        runs += i == 0 || m->parts[i].run != m->parts[i - 1].run ||
                        m->parts[i].level != m->parts[i - 1].level
                    ? 1
                    : 0;
    }
    return runs;
}

static void watch_peak(tree_model *m, double more_bytes)
{
    double bytes = tree_model_file_bytes(m) + more_bytes;

    m->peak_bytes = bytes > m->peak_bytes ? bytes : m->peak_bytes;
}

/* ---- Life --------------------------------------------------------------- */

/* The last level as if all had been loaded in order. */
static void load_all(tree_model *m)
{
    output out = {.level = COMPACTION_LAST,
                  .run = m->next_run++,
                  .from = 0,
                  .to = TREE_KEYS - 1,
                  .bytes = m->options.live_bytes,
                  .is_full = true,
                  .first_sequence = 1,
                  .last_sequence = (uint64_t)m->keys};

    out.parts =
        (size_t)(out.bytes / (double)m->options.settings.partition_bytes) + 1;
    reserve(m, out.parts);
    for (size_t i = 0; i < out.parts; i++) {
        describe(m, &out, i, &m->parts[i], &m->contents[i]);
    }
    m->count = out.parts;
    m->next_sequence = (uint64_t)m->keys + 1;
}

tree_model *tree_model_create(const tree_options *options)
{
    tree_model *m = need(calloc(1, sizeof(*m)));

    m->options = *options;
    m->next_id = 1;
    m->next_run = 1;
    m->next_sequence = 1;
    m->keys = options->live_bytes / TREE_RECORD_BYTES;
    if (options->load == TREE_UNIFORM || options->load == TREE_SKEWED) {
        make_classes(m);
        load_all(m);
    }
    return m;
}

void tree_model_free(tree_model *m)
{
    if (m != NULL) {
        free(m->parts);
        free(m->contents);
        free(m->spare_parts);
        free(m->spare_contents);
        free(m->choices);
        free(m);
    }
}

void tree_model_flush(tree_model *m)
{
    double log_bytes = (double)m->options.settings.flush_bytes;
    double writes = floor(log_bytes / TREE_RECORD_BYTES);
    output out = {.run = m->next_run++,
                  .to = TREE_KEYS - 1,
                  .writes = writes,
                  .bytes = records_of(m, writes, 1) * TREE_RECORD_BYTES,
                  .first_sequence = m->next_sequence,
                  .last_sequence = m->next_sequence + (uint64_t)writes - 1,
                  .parts = 1};

    if (m->options.load == TREE_IN_ORDER) {
        double share = log_bytes / (m->options.written_bytes * 1.01);

        out.from = m->next_key;
        out.to = out.from + (uint64_t)(share * (double)TREE_KEYS);
        m->next_key = out.to + 1;
    }
    m->next_sequence = out.last_sequence + 1;
    reserve(m, m->count + 1);
    memmove(m->parts + 1, m->parts, m->count * sizeof(*m->parts));
    memmove(m->contents + 1, m->contents, m->count * sizeof(*m->contents));
    describe(m, &out, 0, &m->parts[0], &m->contents[0]);
    m->count++;
    m->user_bytes += writes * TREE_RECORD_BYTES;
    m->flush_bytes += out.bytes;
    watch_peak(m, 0);
}

bool tree_model_choose(tree_model *m, compaction_plan *ret_plan)
{
    const compaction_moment moment = {.oldest_snapshot = UINT64_MAX};

    reserve(m, m->count + 1);
    compaction_choose(&m->options.settings, &moment, m->parts, m->count,
                      m->choices, ret_plan);
    return ret_plan->reason != COMPACTION_REASON_NONE;
}

/* ---- Carrying out ------------------------------------------------------- */

/* What of a part is taken: 1 all. */
static double taken_share(const compaction_part *part,
                          const compaction_plan *plan)
{
    if (part->last_key < plan->to_key) {
        return 1;
    }
    return share_of(part->first_key, plan->to_key - 1) /
           share_of(part->first_key, part->last_key);
}

static output output_of(tree_model *m, const compaction_plan *plan)
{
    output out = {.level = plan->target_level,
                  .from = UINT64_MAX,
                  .first_sequence = UINT64_MAX};
    double share;

    for (size_t i = 0; i < plan->count; i++) {
        const compaction_part *part = &m->parts[m->choices[i]];
        const tree_content *content = &m->contents[m->choices[i]];
        uint64_t last =
            part->last_key < plan->to_key ? part->last_key : plan->to_key - 1;

        out.writes += content->writes * taken_share(part, plan);
        out.is_full |= content->is_full;
        out.from = part->first_key < out.from ? part->first_key : out.from;
        out.to = last > out.to ? last : out.to;
        out.first_sequence = part->first_sequence < out.first_sequence
                                 ? part->first_sequence
                                 : out.first_sequence;
        out.last_sequence = part->last_sequence > out.last_sequence
                                ? part->last_sequence
                                : out.last_sequence;
    }
    share = share_of(out.from, out.to);
    out.bytes =
        TREE_RECORD_BYTES *
        (out.is_full ? m->keys * share : records_of(m, out.writes, share));
    out.writes = out.is_full ? 0 : out.writes;
    out.parts = (size_t)ceil(out.bytes / (double)plan->cut_bytes - 0.01);
    out.parts = out.parts > 0 ? out.parts : 1;
    return out;
}

/* The run of the outputs. */
static uint32_t target_run(tree_model *m, const compaction_plan *plan)
{
    for (size_t i = 0; plan->joins_run && i < m->count; i++) {
        if (m->parts[i].level == plan->target_level) {
            return m->parts[i].run;
        }
    }
    return m->next_run++;
}

/* Whether a part of the outputs' level and run comes before another. */
static bool comes_before(const compaction_part *a, const compaction_part *b)
{
    if (a->level != b->level) {
        return a->level < b->level;
    }
    return a->run != b->run ? a->run > b->run : a->first_key < b->first_key;
}

/* What is left of an input behind plan->to_key. */
static void trim(compaction_part *part, tree_content *content,
                 const compaction_plan *plan)
{
    double left = 1 - taken_share(part, plan);

    part->first_key = plan->to_key;
    part->bytes = (uint64_t)((double)part->bytes * left);
    content->writes *= left;
}

static bool is_swept(const compaction_part *part, const compaction_plan *plan)
{
    return plan->is_sweep && part->level < COMPACTION_LAST &&
           (part->level > plan->first_sweep_level ||
            (part->level == plan->first_sweep_level &&
             part->run <= plan->first_sweep_run));
}

static void keep(tree_model *m, size_t from, size_t *to)
{
    m->spare_parts[*to] = m->parts[from];
    m->spare_contents[(*to)++] = m->contents[from];
}

static void swap_states(tree_model *m, size_t count)
{
    compaction_part *parts = m->parts;
    tree_content *contents = m->contents;

    m->parts = m->spare_parts;
    m->contents = m->spare_contents;
    m->spare_parts = parts;
    m->spare_contents = contents;
    m->count = count;
}

static int compare_parts(const void *a, const void *b)
{
    return comes_before(a, b) ? -1 : 1;
}

/* The inputs get the target's level and run; their order is that of keys. */
static void move_inputs(tree_model *m, const compaction_plan *plan,
                        uint32_t run)
{
    compaction_part *moved = need(calloc(plan->count, sizeof(*moved)));
    tree_content *contents = need(calloc(plan->count, sizeof(*contents)));
    size_t at = 0;
    size_t next = 0;
    size_t count = 0;

    for (size_t i = 0; i < plan->count; i++) {
        moved[i] = m->parts[m->choices[i]];
        moved[i].level = plan->target_level;
        moved[i].run = run;
        moved[i].is_begun = false;
        moved[i].tombstones = m->choices[i]; /* where its content is */
    }
    qsort(moved, plan->count, sizeof(*moved), compare_parts);
    for (size_t i = 0; i < plan->count; i++) {
        contents[i] = m->contents[moved[i].tombstones];
        moved[i].tombstones = 0;
    }
    for (size_t i = 0; i <= m->count; i++) {
        while (at < plan->count &&
               (i == m->count || comes_before(&moved[at], &m->parts[i]))) {
            m->spare_parts[count] = moved[at];
            m->spare_contents[count++] = contents[at++];
        }
        if (next < plan->count && m->choices[next] == i) {
            next++;
        } else if (i < m->count) {
            keep(m, i, &count);
        }
    }
    free(moved);
    free(contents);
    swap_states(m, count);
    m->moves++;
}

static void write_outputs(tree_model *m, const compaction_plan *plan,
                          const output *out)
{
    const compaction_part place = {
        .level = out->level, .run = out->run, .first_key = out->from};
    bool is_written = false;
    size_t next = 0;
    size_t count = 0;

    reserve(m, m->count + out->parts);
    for (size_t i = 0; i <= m->count; i++) {
        bool is_input = next < plan->count && m->choices[next] == i;

        if (!is_written &&
            (i == m->count || comes_before(&place, &m->parts[i]))) {
            for (size_t o = 0; o < out->parts; o++) {
                describe(m, out, o, &m->spare_parts[count],
                         &m->spare_contents[count]);
                count++;
            }
            is_written = true;
        }
        next += is_input ? 1 : 0;
        if (i < m->count &&
            (!is_input || m->parts[i].last_key >= plan->to_key)) {
            keep(m, i, &count);
            m->spare_parts[count - 1].is_begun |= is_swept(&m->parts[i], plan);
            if (is_input) {
                trim(&m->spare_parts[count - 1], &m->spare_contents[count - 1],
                     plan);
            }
        }
    }
    swap_states(m, count);
}

void tree_model_carry_out(tree_model *m, const compaction_plan *plan)
{
    output out;

    m->compactions++;
    if (plan->is_move) {
        move_inputs(m, plan, target_run(m, plan));
        return;
    }
    out = output_of(m, plan);
    out.run = target_run(m, plan);
    for (size_t i = 0; i < plan->count; i++) {
        const compaction_part *part = &m->parts[m->choices[i]];

        m->read_bytes += (double)part->bytes * taken_share(part, plan);
    }
    watch_peak(m, out.bytes);
    write_outputs(m, plan, &out);
    m->compaction_bytes += out.bytes;
    m->budget_bytes -= out.bytes;
    m->largest_bytes =
        out.bytes > m->largest_bytes ? out.bytes : m->largest_bytes;
}

/* ---- The whole ---------------------------------------------------------- */

/* How long writers wait while they fill a memtable, and what compactions may
 * write meanwhile; returns the seconds. */
static double pass_time(tree_model *m, double *ret_delay_us)
{
    const tree_options *options = &m->options;
    double bytes = (double)options->settings.flush_bytes;
    const compaction_memory memory = {options->settings.flush_bytes,
                                      4 * options->settings.flush_bytes};
    double fullness =
        compaction_fullness(&options->settings, &memory, m->parts, m->count);
    double delay_us = (double)compaction_delay_us(fullness);
    double seconds = bytes / (options->user_rate * MB) +
                     bytes / COMPACTION_DELAY_BYTES * delay_us / 1e6;

    /* What was not used is gone. */
    m->budget_bytes = (m->budget_bytes < 0 ? m->budget_bytes : 0) +
                      seconds * options->compaction_rate * MB;
    *ret_delay_us = delay_us;
    return seconds;
}

static double higher(double a, double b)
{
    return a > b ? a : b;
}

tree_result tree_model_run(tree_model *m)
{
    double half = m->options.written_bytes / 2;
    double samples = 0;
    double seconds = 0;
    double delay_us = 0;
    tree_result r = {0};
    tree_model start = *m;
    bool is_measured = false;

    while (m->user_bytes < m->options.written_bytes) {
        compaction_plan plan;

        if (!is_measured && m->user_bytes >= half) {
            start = *m;
            is_measured = true;
            seconds = 0;
            m->largest_bytes = 0;
        }
        m->peak_bytes = 0;
        tree_model_flush(m);
        m->budget_bytes = NO_LIMIT;
        if (m->options.user_rate > 0) {
            m->budget_bytes = start.budget_bytes;
            seconds += pass_time(m, &delay_us);
        }
        while (m->budget_bytes > 0 && tree_model_choose(m, &plan)) {
            tree_model_carry_out(m, &plan);
        }
        start.budget_bytes = m->budget_bytes;
        if (is_measured) {
            uint32_t runs = tree_model_runs(m);
            double live = tree_model_live_bytes(m);

            samples++;
            r.space += tree_model_file_bytes(m) / live;
            r.peak_space = higher(r.peak_space, m->peak_bytes / live);
            r.runs += runs;
            r.peak_runs = runs > r.peak_runs ? runs : r.peak_runs;
            r.peak_delay_us = higher(r.peak_delay_us, delay_us);
        }
    }
    half = m->user_bytes - start.user_bytes;
    r.write_amplification = (m->flush_bytes - start.flush_bytes +
                             m->compaction_bytes - start.compaction_bytes) /
                            half;
    r.read_amplification = (m->read_bytes - start.read_bytes) / half;
    r.space /= samples;
    r.runs /= samples;
    r.largest_bytes = m->largest_bytes;
    r.files = (double)m->count;
    r.user_rate = seconds > 0 ? half / seconds / MB : 0;
    return r;
}
