#include "unit.h"

#include "property.h"

/* libmosquitto makes lists in the same way as the broker of its version. */
#include "core/mqtt_protocol.h"

static const unsigned char bytes[4] = {0, 1, 2, 255};
static mosquitto_property *list;

static int end(void **state)
{
    (void)state;
    mosquitto_property_free_all(&list);
    return 0;
}

static void add_topic(const char *topic)
{
    assert_int_equal(mosquitto_property_add_string(&list, MQTT_PROP_RESPONSE_TOPIC, topic), 0);
}

static void add_correlation(const unsigned char *data, uint16_t n)
{
    assert_int_equal(mosquitto_property_add_binary(&list, MQTT_PROP_CORRELATION_DATA, data, n), 0);
}

static void finds_both_among_others(void **state)
{
    struct property_view view;
    (void)state;
    mosquitto_property_add_string(&list, MQTT_PROP_CONTENT_TYPE, "text");
    add_correlation(bytes, 4);
    mosquitto_property_add_string_pair(&list, MQTT_PROP_USER_PROPERTY, "a", "b");
    add_topic("receipts/x");
    mosquitto_property_add_byte(&list, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, 1);
    property_find(list, &view);
    assert_int_equal(view.response_topic_bytes, 10);
    assert_memory_equal(view.response_topic, "receipts/x", 10);
    assert_int_equal(view.correlation_bytes, 4);
    assert_memory_equal(view.correlation, bytes, 4);
}

static void finds_nothing_where_nothing_is(void **state)
{
    struct property_view view;
    (void)state;
    property_find(NULL, &view);
    assert_null(view.response_topic);
    assert_null(view.correlation);
    mosquitto_property_add_string(&list, MQTT_PROP_CONTENT_TYPE, "text");
    property_find(list, &view);
    assert_null(view.response_topic);
    assert_null(view.correlation);
}

static void tells_an_empty_topic_from_none(void **state)
{
    struct property_view view;
    (void)state;
    add_topic("");
    add_correlation(NULL, 0);
    property_find(list, &view);
    assert_non_null(view.response_topic);
    assert_int_equal(view.response_topic_bytes, 0);
    assert_int_equal(view.correlation_bytes, 0);
}

static void proves_how_properties_lie_in_memory(void **state)
{
    static const unsigned char other[4] = {0, 1, 2, 254};
    (void)state;
    assert_false(property_fits(NULL, "t", bytes));
    add_topic("t");
    assert_false(property_fits(list, "t", bytes));
    add_correlation(bytes, 4);
    assert_true(property_fits(list, "t", bytes));
    assert_false(property_fits(list, "u", bytes));
    assert_false(property_fits(list, "tt", bytes));
    assert_false(property_fits(list, "t", other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(finds_both_among_others, end),
        cmocka_unit_test_teardown(finds_nothing_where_nothing_is, end),
        cmocka_unit_test_teardown(tells_an_empty_topic_from_none, end),
        cmocka_unit_test_teardown(proves_how_properties_lie_in_memory, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
