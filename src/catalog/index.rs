//! Finds tools by words: one index in memory over paths, titles, parameter names and descriptions.
//!
//! Knows nothing of upstreams, policy or answers. A question is only ever a list of words, never a query in some syntax.

use std::sync::Arc;

use tantivy::{
    Index, Score, Searcher, Term,
    collector::TopDocs,
    query::{BooleanQuery, BoostQuery, DisjunctionMaxQuery, Occur, Query, TermQuery},
    schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
};

use super::{tool::Tool, words};

/// Words of a question that count; the rest is dropped.
const QUESTION_WORDS_MAX: usize = 16;
/// Memory of the writer while it builds, in bytes.
const WRITER_BYTES: usize = 64 * 1024 * 1024;
/// How much the other fields of one word add to its best field.
const TIE_BREAKER: Score = 0.2;
/// Fields and what a match in them is worth.
const FIELDS: [(&str, Score); 4] = [("path", 3.0), ("title", 2.0), ("description", 1.0), ("parameters", 0.8)];

/// The index over one list of tools; positions are those of that list.
#[derive(Default)]
pub(super) struct SearchIndex(Option<Filled>);

struct Filled {
    searcher: Searcher,
    fields: [Field; FIELDS.len()],
    tools: usize,
}

impl SearchIndex {
    /// Indexes the tools in their order.
    pub(super) fn build(tools: &[Arc<Tool>]) -> tantivy::Result<Self> {
        if tools.is_empty() {
            return Ok(Self::default());
        }
        let mut schema = Schema::builder();
        // The texts are split into words here; the index only cuts at spaces.
        let indexing = TextFieldIndexing::default().set_tokenizer("whitespace").set_index_option(IndexRecordOption::WithFreqs);
        let options = TextOptions::default().set_indexing_options(indexing);
        let fields = FIELDS.map(|(name, _)| schema.add_text_field(name, options.clone()));
        // One segment, written at once: a document's number is its tool's position.
        let mut writer = Index::builder()
            .schema(schema.build())
            .single_segment_index_writer(tantivy::directory::RamDirectory::create(), WRITER_BYTES)?;
        for tool in tools {
            let texts =
                [tool.path.clone(), tool.title.clone().unwrap_or_default(), tool.description.clone(), parameter_names(tool)];
            let mut document = tantivy::TantivyDocument::new();
            for (field, text) in fields.iter().zip(texts) {
                document.add_text(*field, words::words(&text).join(" "));
            }
            writer.add_document(document)?;
        }
        let searcher = writer.finalize()?.reader()?.searcher();
        Ok(Self(Some(Filled { searcher, fields, tools: tools.len() })))
    }

    /// Positions of all tools that match at least half of the words, the best first; equal ones in the order of the list.
    pub(super) fn search(&self, question: &str) -> Vec<(Score, usize)> {
        let words = words::question(question, QUESTION_WORDS_MAX);
        let Some(filled) = self.0.as_ref().filter(|_| !words.is_empty()) else { return Vec::new() };
        let needed = words.len().div_ceil(2);
        let clauses = words.iter().map(|word| (Occur::Should, filled.clause(word))).collect();
        let query = BooleanQuery::with_minimum_required_clauses(clauses, needed);
        match filled.searcher.search(&query, &TopDocs::with_limit(filled.tools).order_by_score()) {
            Ok(hits) => hits.into_iter().map(|(score, address)| (score, address.doc_id as usize)).collect(),
            Err(error) => {
                tracing::error!(%error, "searching the catalog failed");
                Vec::new()
            }
        }
    }
}

impl Filled {
    fn clause(&self, word: &str) -> Box<dyn Query> {
        let per_field = self.fields.iter().zip(FIELDS).map(|(field, (_, worth))| {
            let term = TermQuery::new(Term::from_field_text(*field, word), IndexRecordOption::WithFreqs);
            Box::new(BoostQuery::new(Box::new(term), worth)) as Box<dyn Query>
        });
        Box::new(DisjunctionMaxQuery::with_tie_breaker(per_field.collect(), TIE_BREAKER))
    }
}

fn parameter_names(tool: &Tool) -> String {
    let properties = tool.input_schema.get("properties").and_then(|properties| properties.as_object());
    properties.map(|map| map.keys().map(String::as_str).collect::<Vec<_>>().join(" ")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
