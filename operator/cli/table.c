// SPDX-License-Identifier: Apache-2.0
// Aligned columns, three spaces apart.
#include "cli_internal.h"

// Letters, not bytes.
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        if (((unsigned char)*text & 0xC0) != 0x80)
            width++;
    return width;
}

void cli_table_cell(struct cli_table *table, const char *text)
{
    strlist_add(&table->cells, *text ? text : "-");
}

void cli_table_print(const struct cli_table *table, FILE *out)
{
    AUTO_MEM size_t *widths = mem_alloc(table->columns * sizeof(*widths));

    ASSERT(table->columns > 0);
    ASSERT(table->cells.len % table->columns == 0);
    for (size_t i = 0; i < table->cells.len; i++) {
        size_t width = width_of(table->cells.items[i]);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
    for (size_t i = 0; i < table->cells.len; i++) {
        const char *cell = table->cells.items[i];
        bool last = i % table->columns == table->columns - 1;
        cli_put(cell, out);
        fprintf(out, "%*s", last ? 0 : (int)(widths[i % table->columns] - width_of(cell) + 3), "");
        if (last)
            fputc('\n', out);
    }
}

void cli_table_fini(struct cli_table *table)
{
    strlist_fini(&table->cells);
}

char *cli_join(const json_t *list)
{
    AUTO_STRLIST struct strlist words = {0};

    for (size_t i = 0; i < json_array_size(list); i++)
        strlist_add(&words, json_string_value(json_array_get(list, i)));
    return strlist_join(&words, ",");
}
