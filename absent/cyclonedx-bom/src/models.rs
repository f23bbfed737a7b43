//! The types of a bill of materials, as far as uv-resolver fills them in. Nothing can be done with a value.

use std::convert::Infallible;
use std::str::FromStr;

use self::dependency::Dependencies;
use self::external_reference::ExternalReferences;
use self::hash::Hashes;
use self::metadata::Metadata;
use self::property::Properties;

/// The type of fields that uv-resolver leaves empty.
pub type Never = Infallible;

#[derive(Debug, Default)]
pub struct Bom {
    pub metadata: Option<Metadata>,
    pub components: Option<Components>,
    pub dependencies: Option<Dependencies>,
    pub others: (),
}

#[derive(Debug, Clone)]
pub struct Component {
    pub component_type: component::Classification,
    pub name: NormalizedString,
    pub version: Option<NormalizedString>,
    pub bom_ref: Option<String>,
    pub purl: Option<Uri>,
    pub mime_type: Option<Never>,
    pub supplier: Option<Never>,
    pub author: Option<Never>,
    pub publisher: Option<Never>,
    pub group: Option<Never>,
    pub description: Option<Never>,
    pub scope: Option<Never>,
    pub hashes: Option<Never>,
    pub licenses: Option<Never>,
    pub copyright: Option<Never>,
    pub cpe: Option<Never>,
    pub swid: Option<Never>,
    pub modified: Option<Never>,
    pub pedigree: Option<Never>,
    pub external_references: Option<ExternalReferences>,
    pub properties: Option<Properties>,
    pub components: Option<Never>,
    pub evidence: Option<Never>,
    pub signature: Option<Never>,
    pub model_card: Option<Never>,
    pub data: Option<Never>,
}

#[derive(Debug)]
pub struct Components(pub Vec<Component>);

#[derive(Debug, Clone)]
pub struct NormalizedString;

impl NormalizedString {
    pub fn new(_text: &str) -> Self {
        Self
    }
}

/// An address. No value of this type can exist.
#[derive(Debug, Clone)]
pub enum Uri {}

/// The error of everything that this crate cannot do.
#[derive(Debug, Clone, Copy)]
pub struct Absent;

impl TryFrom<String> for Uri {
    type Error = Absent;

    fn try_from(_text: String) -> Result<Self, Absent> {
        Err(Absent)
    }
}

impl FromStr for Uri {
    type Err = Absent;

    fn from_str(_text: &str) -> Result<Self, Absent> {
        Err(Absent)
    }
}

/// A time. No value of this type can exist.
#[derive(Debug)]
pub enum DateTime {}

impl DateTime {
    /// Fails.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn now() -> Result<Self, Absent> {
        Err(Absent)
    }
}

pub mod component {
    #[derive(Debug, Clone)]
    pub enum Classification {
        Library,
    }
}

pub mod dependency {
    #[derive(Debug)]
    pub struct Dependencies(pub Vec<Dependency>);

    #[derive(Debug)]
    pub struct Dependency {
        pub dependency_ref: String,
        pub dependencies: Vec<String>,
    }
}

pub mod external_reference {
    use super::hash::Hashes;

    #[derive(Debug, Clone)]
    pub struct ExternalReferences(pub Vec<ExternalReference>);

    #[derive(Debug, Clone)]
    pub struct ExternalReference {
        pub external_reference_type: ExternalReferenceType,
        pub url: Uri,
        pub comment: Option<super::Never>,
        pub hashes: Option<Hashes>,
    }

    #[derive(Debug, Clone)]
    pub enum ExternalReferenceType {
        Distribution,
    }

    #[derive(Debug, Clone)]
    pub enum Uri {
        Url(super::Uri),
    }
}

pub mod hash {
    #[derive(Debug, Clone)]
    pub struct Hashes(pub Vec<Hash>);

    #[derive(Debug, Clone)]
    pub struct Hash {
        pub alg: HashAlgorithm,
        pub content: HashValue,
    }

    #[derive(Debug, Clone)]
    pub enum HashAlgorithm {
        MD5,
        SHA_256,
        SHA_384,
        SHA_512,
        BLAKE2b_256,
        BLAKE2b_384,
        BLAKE2b_512,
    }

    #[derive(Debug, Clone)]
    pub struct HashValue(pub String);
}

pub mod metadata {
    use super::tool::Tools;
    use super::{Component, DateTime};

    #[derive(Debug, Default)]
    pub struct Metadata {
        pub timestamp: Option<DateTime>,
        pub tools: Option<Tools>,
        pub component: Option<Component>,
        pub others: (),
    }
}

pub mod property {
    #[derive(Debug, Clone)]
    pub struct Properties(pub Vec<Property>);

    #[derive(Debug, Clone)]
    pub struct Property;

    impl Property {
        pub fn new(_name: &str, _value: &str) -> Self {
            Self
        }
    }
}

pub mod tool {
    use super::external_reference::ExternalReferences;
    use super::{Hashes, NormalizedString};

    #[derive(Debug)]
    pub enum Tools {
        List(Vec<Tool>),
    }

    #[derive(Debug)]
    pub struct Tool {
        pub vendor: Option<NormalizedString>,
        pub name: Option<NormalizedString>,
        pub version: Option<NormalizedString>,
        pub hashes: Option<Hashes>,
        pub external_references: Option<ExternalReferences>,
    }
}
