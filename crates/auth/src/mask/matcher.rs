//! Finds many patterns in one pass.

use aho_corasick::Anchored;
use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;

use super::steps;

/// Finds any of its patterns, in time linear in the text.
#[derive(Clone)]
pub(super) struct Matcher {
    automaton: Option<NFA>,
    patterns: Vec<Vec<u8>>,
}

impl Matcher {
    pub fn new(patterns: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut patterns: Vec<_> = patterns.collect();
        patterns.sort();
        patterns.dedup();
        // It fails only for more states than 31 bits count.
        let automaton = NFA::new(&patterns).ok().filter(|_| !patterns.is_empty());
        Self {
            automaton,
            patterns,
        }
    }

    /// Calls `found` with the end and the length of the longest pattern that ends at each place.
    pub fn each(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        self.walk(text, |end, length| {
            found(end, length);
            true
        });
    }

    /// The end and the length of the pattern that ends first.
    pub fn first(&self, text: &[u8]) -> Option<(usize, usize)> {
        let mut first = None;
        self.walk(text, |end, length| {
            first = Some((end, length));
            false
        });
        first
    }

    fn walk(&self, text: &[u8], mut go_on: impl FnMut(usize, usize) -> bool) {
        let Some(automaton) = &self.automaton else {
            return;
        };
        // An automaton over unanchored text always has that start.
        let Ok(mut state) = automaton.start_state(Anchored::No) else {
            return;
        };
        for (at, byte) in text.iter().enumerate() {
            steps::count(1);
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                let lengths = (0..automaton.match_len(state))
                    .map(|index| automaton.pattern_len(automaton.match_pattern(state, index)));
                // The pattern of the state itself is the first; those that are its ends follow.
                let longest = lengths.take(1).max().unwrap_or_default();
                if !go_on(at + 1, longest) {
                    return;
                }
            }
        }
    }

    /// How much of a pattern's beginning, but not all of it, the text ends with; of the pattern of which that is the most.
    pub fn longest_prefix_at_end(&self, text: &[u8]) -> usize {
        let overlaps = self.patterns.iter().map(|pattern| {
            let end = &text[text.len() - text.len().min(pattern.len() - 1)..];
            overlap(pattern.iter(), end.iter())
        });
        overlaps.max().unwrap_or_default()
    }

    /// How much of a pattern's end, but not all of it, the text begins with; of the pattern of which that is the most.
    pub fn longest_suffix_at_start(&self, text: &[u8]) -> usize {
        let overlaps = self.patterns.iter().map(|pattern| {
            let beginning = &text[..text.len().min(pattern.len() - 1)];
            overlap(pattern.iter().rev(), beginning.iter().rev())
        });
        overlaps.max().unwrap_or_default()
    }
}

/// The length of the longest prefix of `pattern` that is a suffix of `text` (Knuth, Morris and Pratt).
fn overlap<'a>(
    pattern: impl Iterator<Item = &'a u8>,
    text: impl ExactSizeIterator<Item = &'a u8>,
) -> usize {
    let pattern: Vec<u8> = pattern.copied().take(text.len() + 1).collect();
    steps::count(pattern.len() + text.len());
    let mut borders = vec![0; pattern.len()];
    let step = |borders: &[usize], mut length: usize, byte: u8| {
        while length > 0 && (length == pattern.len() || pattern[length] != byte) {
            length = borders[length - 1];
        }
        length + usize::from(pattern[length] == byte)
    };
    for at in 1..pattern.len() {
        borders[at] = step(&borders, borders[at - 1], pattern[at]);
    }
    text.fold(0, |length, byte| step(&borders, length, *byte))
}
