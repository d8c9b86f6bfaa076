//! What is known of a column, an item or a field.

use super::{HashMap, HiveType, StructField, Text};

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    kind: Kind,
    /// Whether the kind was given and may not change.
    kept: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) enum Kind {
    /// Nothing but null so far.
    #[default]
    Unknown,
    Boolean,
    BigInt,
    Double,
    String,
    Array(Box<Node>),
    Struct(Struct),
    /// A type that is never inferred.
    Given(HiveType),
}

/// Fields in the order of their first appearance.
#[derive(Clone, Debug, Default)]
pub(super) struct Struct {
    fields: Vec<(String, Node)>,
    by_name: HashMap<String, usize>,
}

impl Node {
    /// A type that stays as it is, but for fields that structs gain.
    pub(super) fn kept(hive_type: &HiveType) -> Self {
        let kind = match hive_type {
            HiveType::Array(item) => Kind::Array(Box::new(Self::kept(item))),
            HiveType::Struct(fields) => {
                let mut kept = Struct::default();
                for field in fields {
                    kept.insert(field.name.clone(), Self::kept(&field.hive_type));
                }
                Kind::Struct(kept)
            }
            other => Kind::Given(other.clone()),
        };
        Self { kind, kept: true }
    }

    /// Takes a scalar into account.
    pub(super) fn meet(&mut self, met: Kind) {
        let known = matches!(
            (&self.kind, &met),
            (Kind::Boolean, Kind::Boolean)
                | (Kind::BigInt, Kind::BigInt)
                | (Kind::Double, Kind::BigInt | Kind::Double)
                | (Kind::String, _)
        );
        if self.kept || known {
            return;
        }
        self.kind = match (std::mem::take(&mut self.kind), met) {
            (Kind::Unknown, met) => met,
            (Kind::BigInt, Kind::Double) => Kind::Double,
            _ => Kind::String,
        };
    }

    /// Takes an object into account; its fields, if that is what the node is.
    pub(super) fn as_struct(&mut self) -> Option<&mut Struct> {
        if matches!(self.kind, Kind::Unknown) {
            self.kind = Kind::Struct(Struct::default());
        } else if !matches!(self.kind, Kind::Struct(_)) {
            self.meet(Kind::String);
        }
        if let Kind::Struct(fields) = &mut self.kind { Some(fields) } else { None }
    }

    /// Takes an array into account; its items, if that is what the node is.
    pub(super) fn as_array(&mut self) -> Option<&mut Node> {
        if matches!(self.kind, Kind::Unknown) {
            self.kind = Kind::Array(Box::default());
        } else if !matches!(self.kind, Kind::Array(_)) {
            self.meet(Kind::String);
        }
        if let Kind::Array(item) = &mut self.kind { Some(item) } else { None }
    }

    /// Takes into account what another one was. `room` is how many more fields there may be.
    fn absorb(&mut self, other: Self, room: &mut usize) {
        match other.kind {
            Kind::Unknown => {}
            // What both sides keep is what this one keeps.
            Kind::Given(_) if self.kept => {}
            Kind::Given(given) => {
                let before = std::mem::replace(self, Self { kind: Kind::Given(given), kept: true });
                drop(before);
            }
            Kind::Struct(theirs) => {
                if let Some(ours) = self.as_struct() {
                    ours.absorb(theirs, room);
                }
                self.kept |= other.kept;
            }
            Kind::Array(theirs) => {
                if let Some(ours) = self.as_array() {
                    ours.absorb(*theirs, room);
                }
                self.kept |= other.kept;
            }
            scalar => self.meet(scalar),
        }
    }

    pub(super) fn hive_type(&self) -> HiveType {
        match &self.kind {
            Kind::Boolean => HiveType::Boolean,
            Kind::BigInt => HiveType::BigInt,
            Kind::Double => HiveType::Double,
            Kind::Unknown | Kind::String => HiveType::String,
            Kind::Array(item) if !self.kept && matches!(item.kind, Kind::Unknown) => HiveType::String,
            Kind::Array(item) => HiveType::Array(Box::new(item.hive_type())),
            Kind::Struct(fields) if fields.fields.is_empty() => HiveType::String,
            Kind::Struct(fields) => {
                let field =
                    |(name, node): (&str, &Self)| StructField { name: name.to_owned(), hive_type: node.hive_type() };
                HiveType::Struct(fields.fields().map(field).collect())
            }
            Kind::Given(given) => given.clone(),
        }
    }

    /// Fields within.
    fn size(&self) -> usize {
        match &self.kind {
            Kind::Array(item) => item.size(),
            Kind::Struct(fields) => fields.size(),
            Kind::Given(given) => given.fields_within(),
            _ => 0,
        }
    }
}

impl Struct {
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.fields.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// Fields, and fields within them.
    pub(super) fn size(&self) -> usize {
        self.fields.iter().map(|(_, node)| 1 + node.size()).sum()
    }

    /// Adds a field that is not there yet.
    pub(super) fn insert(&mut self, name: String, node: Node) {
        self.by_name.insert(name.clone(), self.fields.len());
        self.fields.push((name, node));
    }

    /// The field of this key, in whatever case; none where there is no room for one. `guess` is the field that is tried first,
    /// and becomes the one behind this one: records of a stream have their keys in one order.
    pub(super) fn field(&mut self, key: Text<'_>, guess: &mut usize, room: &mut usize) -> Option<&mut Node> {
        let guessed = self.fields.get(*guess).is_some_and(|(name, _)| !key.escaped && name.as_bytes() == key.raw);
        let at = if guessed {
            *guess
        } else {
            let mut name = Vec::with_capacity(key.raw.len());
            key.write(&mut name);
            self.place(String::from_utf8(name).ok()?.to_lowercase(), room)?
        };
        *guess = at + 1;
        self.fields.get_mut(at).map(|(_, node)| node)
    }

    /// Where the field of this name is, which is made if need be.
    fn place(&mut self, name: String, room: &mut usize) -> Option<usize> {
        Some(match self.by_name.get(&name) {
            Some(at) => *at,
            None if name.is_empty() => return None,
            None => {
                *room = room.checked_sub(1)?;
                self.insert(name, Node::default());
                self.fields.len() - 1
            }
        })
    }

    /// Takes into account what another one has.
    pub(super) fn absorb(&mut self, other: Self, room: &mut usize) {
        for (name, node) in other.fields {
            let at = self.place(name, room);
            if let Some((_, ours)) = at.and_then(|at| self.fields.get_mut(at)) {
                ours.absorb(node, room);
            }
        }
    }
}
