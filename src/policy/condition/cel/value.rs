//! Converts JSON values to CEL values.

use std::collections::HashMap;

use cel::common::{
    types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt},
    value::Val,
};
use serde_json::Value;

use super::size::Size;

/// Converts a borrowed value and adds up its size. Whole numbers become `int`, others `double`; the
/// two compare with each other.
pub(super) fn to_cel<'a>(value: &'a Value, size: &mut Size) -> Box<dyn Val + 'a> {
    size.values += 1.0;
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(boolean) => Box::new(CelBool::from(*boolean)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Box::new(CelInt::from(whole)),
            (_, Some(whole)) => Box::new(CelUInt::from(whole)),
            _ => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => {
            size.longest = size.longest.max(items.len() as f64);
            let items: Vec<Box<dyn Val + 'a>> =
                items.iter().map(|item| to_cel(item, size)).collect();
            Box::new(CelList::from(items))
        }
        Value::Object(map) => {
            size.longest = size.longest.max(map.len() as f64);
            let map: HashMap<CelMapKey<'a>, Box<dyn Val + 'a>> = map
                .iter()
                .map(|(key, value)| (CelMapKey::from(key.as_str()), to_cel(value, size)))
                .collect();
            Box::new(CelMap::from(map))
        }
    }
}

/// Converts an owned value.
pub(super) fn owned_to_cel<'v>(value: Value) -> Box<dyn Val + 'v> {
    match value {
        Value::String(text) => Box::new(CelString::from(text)),
        Value::Array(items) => {
            Box::new(CelList::from(items.into_iter().map(owned_to_cel).collect::<Vec<_>>()))
        }
        Value::Object(map) => {
            let map: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> = map
                .into_iter()
                .map(|(key, value)| (CelMapKey::from(key), owned_to_cel(value)))
                .collect();
            Box::new(CelMap::from(map))
        }
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Box::new(CelInt::from(whole)),
            (_, Some(whole)) => Box::new(CelUInt::from(whole)),
            _ => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::Bool(boolean) => Box::new(CelBool::from(boolean)),
        Value::Null => Box::new(CelNull),
    }
}
