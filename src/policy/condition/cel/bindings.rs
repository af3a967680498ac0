//! Variables of expressions: the call as CEL values.

use std::collections::HashMap;

use cel::{
    common::{
        types::{CelMap, CelMapKey, CelString},
        value::{CowVal, Val},
    },
    context::VariableResolver,
};

use super::{size::Size, value::to_cel};
use crate::policy::{
    args::Args,
    model::{
        call::{Caller, ToolFacts},
        class::Class,
    },
};

/// The call as CEL values, with their sizes.
#[derive(Debug)]
pub(in crate::policy) struct Bindings<'a> {
    args: Box<dyn Val + 'a>,
    tool: Box<dyn Val + 'a>,
    caller: Box<dyn Val + 'a>,
    pub(super) args_size: Size,
    pub(super) facts_size: Size,
}

impl<'a> Bindings<'a> {
    pub(in crate::policy) fn new(
        args: &'a Args,
        (tool, caller): (ToolFacts<'a>, Caller<'a>),
        class: Class,
    ) -> Self {
        let mut args_size = Size { values: 0.0, bytes: args.bytes as f64, longest: 0.0 };
        let args = to_cel(&args.value, &mut args_size);
        let tool = [
            ("path", tool.path),
            ("upstream", tool.upstream),
            ("name", tool.name),
            ("class", class.as_str()),
        ];
        let caller = [
            ("workspace", caller.workspace),
            ("principal", caller.principal),
            ("role", caller.role),
            ("key", caller.key.unwrap_or_default()),
            ("session", caller.session.unwrap_or_default()),
            ("task", caller.task),
        ];
        let bytes = tool.iter().chain(&caller).map(|(_, value)| value.len()).sum::<usize>();
        let facts_size = Size { values: 8.0, bytes: bytes as f64, longest: 6.0 };
        Self { args, tool: string_map(&tool), caller: string_map(&caller), args_size, facts_size }
    }
}

impl VariableResolver for Bindings<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            "args" => Some(CowVal::Borrowed(&*self.args)),
            "tool" => Some(CowVal::Borrowed(&*self.tool)),
            "caller" => Some(CowVal::Borrowed(&*self.caller)),
            _ => None,
        }
    }
}

fn string_map<'a>(pairs: &[(&'static str, &'a str)]) -> Box<dyn Val + 'a> {
    let map: HashMap<CelMapKey<'a>, Box<dyn Val + 'a>> = pairs
        .iter()
        .map(|(key, value)| {
            (CelMapKey::from(*key), Box::new(CelString::from(*value)) as Box<dyn Val + 'a>)
        })
        .collect();
    Box::new(CelMap::from(map))
}
