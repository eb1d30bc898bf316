//! Mutates JSON so that it stays valid. After a mutation of its bytes, a text is rarely valid JSON, and does not get past the
//! parser.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::members;

/// The parts of a target's input that are JSON.
pub enum Layout {
    /// The whole input is JSON.
    Whole,
    /// Each line is JSON, after the first `after` bytes of the input.
    Lines { after: usize },
}

/// Defines the mutator of a target, from the layout of its input and the path of its dictionary.
#[macro_export]
macro_rules! json_mutator {
    ($layout:expr, $dictionary:literal) => {
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            let dictionary = include_str!($dictionary);
            $crate::mutate(data, size, max_size, seed, $layout, dictionary)
        });
    };
}

/// Mutates the input in `data[..size]` and returns its new size, as `fuzz_mutator!` requires. Inserts the words of the dictionary as
/// names and values.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    layout: Layout,
    dictionary: &str,
) -> usize {
    let mut random = Random(u64::from(seed) + 1);
    if random.below(3) > 0
        && let Some(mutated) = mutated(&data[..size], layout, dictionary, &mut random)
        && mutated.len() <= max_size
    {
        data[..mutated.len()].copy_from_slice(&mutated);
        return mutated.len();
    }
    fuzzer_mutate(data, size, max_size)
}

fn mutated(input: &[u8], layout: Layout, dictionary: &str, random: &mut Random) -> Option<Vec<u8>> {
    let words: Vec<String> = dictionary.lines().filter_map(word).collect();
    let Layout::Lines { after } = layout else {
        return json_mutated(input, &words, random);
    };
    let (kept, lines) = input.split_at_checked(after)?;
    let mut lines: Vec<Vec<u8>> = lines
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let (at, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(10) {
        0 => lines.swap(at, other),
        1 => lines.insert(at, lines[other].clone()),
        2 if lines.len() > 1 => drop(lines.remove(at)),
        _ => lines[at] = json_mutated(&lines[at], &words, random)?,
    }
    Some([kept, &lines.join(&b'\n')].concat())
}

fn json_mutated(json: &[u8], words: &[String], random: &mut Random) -> Option<Vec<u8>> {
    let mut root = Node::parse(std::str::from_utf8(json).ok()?, 16)?;
    for _ in 0..=random.below(4) {
        let count = root.count();
        let copy = root.nth(&mut random.below(count))?.clone();
        let node = root.nth(&mut random.below(count))?;
        change(node, copy, words, random);
    }
    let mut written = String::new();
    root.write(&mut written);
    Some(written.into_bytes())
}

fn change(node: &mut Node, copy: Node, words: &[String], random: &mut Random) {
    let random_word = |random: &mut Random| match words.is_empty() {
        true => "null".to_owned(),
        false => words[random.below(words.len())].clone(),
    };
    match (&mut *node, random.below(8)) {
        (Node::Object(members), 0 | 1) if !members.is_empty() => {
            members.remove(random.below(members.len()));
        }
        (Node::Object(members), 2) if !members.is_empty() => {
            let (at, to) = (random.below(members.len()), random.below(members.len() + 1));
            let member = members[at].clone();
            members.insert(to, member);
        }
        (Node::Object(members), 3) if !members.is_empty() => {
            let (at, other) = (random.below(members.len()), random.below(members.len()));
            members.swap(at, other);
        }
        (Node::Object(members), 4..) => {
            let name = Some(random_word(random)).filter(|word| word.starts_with('"'));
            let value = match random.below(2) {
                0 => copy,
                _ => Node::Plain(random_word(random)),
            };
            members.push((name.unwrap_or_else(|| "\"a\"".to_owned()), value));
        }
        (Node::Array(items), 0 | 1) if !items.is_empty() => {
            items.remove(random.below(items.len()));
        }
        (Node::Array(items), 2..) => items.push(copy),
        (Node::Plain(json), 0..4) if json.starts_with('"') => {
            // Half of a surrogate pair does not decode to a string, so it stays unchanged.
            let Ok(text) = serde_json::from_str::<String>(json) else {
                return;
            };
            let mut bytes = text.into_bytes();
            let size = bytes.len();
            bytes.resize(size + 64, 0);
            let size = fuzzer_mutate(&mut bytes, size, size + 64);
            *json = Value::from(String::from_utf8_lossy(&bytes[..size])).to_string();
        }
        (Node::Plain(json), 0..6) => *json = random_word(random),
        _ => *node = copy,
    }
}

/// A JSON value. Names, and values other than objects and arrays, are kept as their JSON text.
#[derive(Clone)]
enum Node {
    Plain(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    fn parse(json: &str, depth: u8) -> Option<Self> {
        let raw: &RawValue = serde_json::from_str(json).ok()?;
        let json = raw.get();
        let below = depth.checked_sub(1);
        Some(match (json.as_bytes().first()?, below) {
            (b'{', Some(depth)) => {
                let members = members(json.as_bytes())?.into_iter();
                let members = members.map(|(name, value)| {
                    let name = Value::from(name).to_string();
                    Some((name, Self::parse(value.get(), depth)?))
                });
                Self::Object(members.collect::<Option<_>>()?)
            }
            (b'[', Some(depth)) => {
                let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
                let items = items.into_iter();
                Self::Array(
                    items
                        .map(|item| Self::parse(item.get(), depth))
                        .collect::<Option<_>>()?,
                )
            }
            _ => Self::Plain(json.to_owned()),
        })
    }

    fn count(&self) -> usize {
        let below: usize = match self {
            Self::Plain(_) => 0,
            Self::Array(items) => items.iter().map(Self::count).sum(),
            Self::Object(members) => members.iter().map(|(_, value)| value.count()).sum(),
        };
        below + 1
    }

    /// Returns the node at this index, in the order of the text. Counts `at` down.
    fn nth(&mut self, at: &mut usize) -> Option<&mut Self> {
        if *at == 0 {
            return Some(self);
        }
        *at -= 1;
        match self {
            Self::Plain(_) => None,
            Self::Array(items) => items.iter_mut().find_map(|item| item.nth(at)),
            Self::Object(members) => members.iter_mut().find_map(|(_, value)| value.nth(at)),
        }
    }

    fn write(&self, to: &mut String) {
        match self {
            Self::Plain(json) => to.push_str(json),
            Self::Array(items) => {
                to.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        to.push(',');
                    }
                    item.write(to);
                }
                to.push(']');
            }
            Self::Object(members) => {
                to.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        to.push(',');
                    }
                    to.push_str(name);
                    to.push(':');
                    value.write(to);
                }
                to.push('}');
            }
        }
    }
}

/// Returns the word on a line of a dictionary, unescaped and without its quotes, if the word is valid JSON by itself.
fn word(line: &str) -> Option<String> {
    let quoted = line.strip_prefix('"')?.strip_suffix('"')?;
    let mut word = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            // A word with a byte escape is never valid JSON by itself.
            '\\' => match characters.next()? {
                'x' => return None,
                escaped => word.push(escaped),
            },
            character => word.push(character),
        }
    }
    serde_json::from_str::<&RawValue>(&word).ok()?;
    Some(word)
}

struct Random(u64);

impl Random {
    /// Returns a random number below `end`, which must not be 0 (xorshift64*).
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        number as usize % end
    }
}
