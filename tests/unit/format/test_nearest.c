/* The word that was probably meant. */
#include <criterion/criterion.h>

#include "format/table/nearest.h"

static const char *const words[] = {"station", "pm25", NULL, "pm10", "timezone", "time"};

static const char *near(const char *typed)
{
    return aq_nearest_word(aq_slice_of(typed), words, sizeof(words) / sizeof(words[0]));
}

Test(nearest, finds_a_typing_mistake)
{
    cr_assert_str_eq(near("staton"), "station");
    cr_assert_str_eq(near("sattion"), "station");
    cr_assert_str_eq(near("STATION"), "station");
    cr_assert_str_eq(near("pm2"), "pm25");
    cr_assert_str_eq(near("timezon"), "timezone");
}

Test(nearest, a_swap_is_one_mistake)
{
    cr_assert_str_eq(near("tiem"), "time");
}

Test(nearest, says_nothing_when_nothing_is_near)
{
    cr_assert_null(near("humidity"));
    cr_assert_null(near(""));
    cr_assert_null(near("xy"));
}

Test(nearest, long_words_have_no_neighbour)
{
    char long_word[2000];
    memset(long_word, 's', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    cr_assert_null(near(long_word));
}
