use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_a_file_or_problems(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        file(&bytes);
    }

    #[test]
    fn anything_that_looks_like_a_file_is_one_or_problems(text in "(tools|default|hide|rules|when|limits|[a-z.*]{1,4}|\\{|\\}|\\[|\\]|: |, |\n|  |- |\"|&a |\\*a |<<|'|!!str |[0-9]|~){0,60}") {
        file(text.as_bytes());
    }

    #[test]
    fn anything_that_looks_like_a_condition_answers(text in "(args|args\\.d|args\\.a\\.b|json|base64|size|has|\\(|\\)|\\[|\\]|\\.|\\.map\\(x, |\\.all\\(x, |x|&&|\\|\\||!|==|<|\\+|-|1|'a'|\"| |\\?|:|,){0,25}") {
        condition(text.as_bytes());
        condition(format!("{text}\n{{\"a\": {{\"b\": 1}}, \"d\": \"y\"}}").as_bytes());
    }
}
