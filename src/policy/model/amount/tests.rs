use proptest::prelude::*;
use serde_json::Number;

use super::*;

fn number(text: &str) -> Number {
    serde_json::from_str(text).unwrap()
}

#[test]
fn an_amount_keeps_its_decimals_and_rejects_what_cannot_be_counted() {
    for (text, shown) in [
        ("0", "0"),
        ("-0.0", "0"),
        ("1", "1"),
        ("0.99", "0.99"),
        ("0.1", "0.1"),
        ("1e3", "1000"),
        ("1e-7", "0.000001"),
        ("0.0000001", "0.000001"),
        ("12345.678901", "12345.678901"),
        ("0.1234561", "0.123457"),
        ("9223372036853", "9223372036853"),
    ] {
        assert_eq!(Amount::from_number(&number(text)).unwrap().to_string(), shown, "{text}");
    }
    for (text, error) in [
        ("-1", AmountError::Negative),
        ("-0.000001", AmountError::Negative),
        ("1e300", AmountError::TooLarge),
        ("9223372036855", AmountError::TooLarge),
        ("18446744073709551615", AmountError::TooLarge),
    ] {
        assert_eq!(Amount::from_number(&number(text)), Err(error), "{text}");
    }
    assert_eq!(Amount::from_f64(f64::NAN), Err(AmountError::NotFinite));
    assert_eq!(Amount::from_f64(f64::INFINITY), Err(AmountError::NotFinite));
    let mut sum = Amount::ZERO;
    for _ in 0..100 {
        sum = sum.checked_add(Amount::from_number(&number("0.99")).unwrap()).unwrap();
    }
    assert_eq!(sum.to_string(), "99", "decimals add up exactly");
}

proptest! {
    #[test]
    fn an_amount_is_never_less_than_the_number(value in 0.0_f64..1e12) {
        let amount = Amount::from_f64(value).unwrap();
        prop_assert!(amount.as_f64() >= value * (1.0 - f64::EPSILON));
        prop_assert!(amount.as_f64() <= value * (1.0 + f64::EPSILON) + 0.000_001_1);
    }
}
