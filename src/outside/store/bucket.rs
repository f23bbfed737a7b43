//! The cache buckets, and the other forms that are kept in the store, each with its version.
//!
//! A version must change if an older lath's entries would be wrong: if the value has another shape, if the same key
//! would give another value, or if the key is made in another way. Old entries are not removed then, but they are no
//! longer used, and are pruned.

/// A kind of cache entries. Each bucket is a folder of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// The InRelease file of a pocket, and its entity tag. Key: its URL. New version: another form of the entry.
    Releases,
    /// The text of an InRelease whose signature was verified, and the keys that signed it. Key: the keyring and the
    /// signed text. New version: another form of the entry, or another rule for which signatures count.
    VerifiedReleases,
    /// When an archive's lists of all files could not be fetched, in seconds since 1970. Key: the digests of the lists.
    /// New version: another form of the entry.
    ListsOutOfReach,
    /// The Python and the glibc of a base. Key: the snapshot of the archive and the version of Python. New version:
    /// another way to read them from the packages.
    BaseFacts,
    /// The resolved .debs. Key: the snapshot of the archive and everything that was asked of it. New version: another
    /// result for the same question, for example because the solver changed.
    DebianHalves,
    /// The pages of an index that a request used. Key: the requirements, the platform and the version of Python. They
    /// are only prefetched, so a new version is needed only for another form of the entry.
    IndexPages,
    /// The digest and the entity tag of a wheel whose sha256 is not known before. Key: its URL without credentials. New
    /// version: another form of the entry.
    UnpinnedWheels,
    /// The files of an opened parcel, and the pack that contains the small ones. Key: the parcel's digest and the vocabulary.
    /// New version: the same parcel gives another part. The tests in `tests/it/store.rs` contain the name.
    Parts,
    /// The facts about Python files of a parcel that some build has needed. Key: the parcel's digest. New version: the
    /// same file gives other facts, for example because of another version of ruff's parser.
    PythonFiles,
    /// The texts of a parcel's extension modules that may be names of modules. Key: the parcel's digest. New version: the
    /// same file gives other texts.
    BinaryTexts,
    /// The facts about a large file of the user. Key: its digest and the vocabulary. New version: the same file gives other facts.
    CopiedFacts,
    /// The changes of one layer of a base image. Key: the layer's digest and the vocabulary. New version: the same layer
    /// gives other changes.
    BaseLayers,
    /// A base image as one tree, and the facts in it. Key: the manifest's digest and the vocabulary. New version: the
    /// same layers give another tree, or lath finds other facts in it.
    BaseImages,
    /// An extension module without symbols. Key: the module's digest. New version: other bytes for the same module.
    Stripped,
    /// The bytecode of a tree. Key: the tree's digest, the entry points, and everything that affects bytecode, with the
    /// text of the driver. New version: another form of the entry, another choice of files, or other bytecode with the
    /// same driver.
    Bytecode,
    /// The bytecode of each file of the last tree. Key: the same without the tree's digest. New version: another form of
    /// the entry, or other bytecode with the same driver.
    LastBytecode,
    /// The files of a source distribution that decide how it is built. Key: the digest of its archive, and the folder in
    /// it. New version: the same archive gives another value.
    Sdists,
    /// The result of a step of a build from source: more requirements, metadata, or a wheel. Key: the source and everything
    /// that takes part in its build, with the text of the driver. New version: another form of the entry, or another
    /// wheel of the same build.
    Builds,
    /// The summary of a proof. Key: the digests of both trees, the checks, and the settings for programs. New version:
    /// other checks or another verdict for the same key, or another form of the summary.
    Proofs,
    /// The paths that the checks of an untrimmed tree used. Key: the tree, the commands and the settings for programs. New
    /// version: other paths for the same commands.
    Traces,
    /// The removed files that a check needs. Key: the key of the proof. New version: the search would find other files,
    /// or another form of the entry.
    Lacks,
    /// The results of a task of a proof in one tree. Key: the digest of the files that it depends on, the task, and the
    /// settings for programs. New version: a program would run in another way, so that its result could differ.
    Answers,
    /// A layer that consists of segments. Key: the keys of the segments. New version: another form of the entry.
    Layers,
    /// The places of files in a segment whose files can be fetched alone. Key: the segment's key. New version: another form
    /// of the entry.
    Frames,
    /// A sealed image and its receipt. Key: the program, the lock and all options. New version: another form of the
    /// entry.
    Images,
    /// The blob with the explanation of an image. Key: the digest of the image's config. New version: another form of
    /// the entry, or of the explanation.
    Explanations,
    /// The state of a file that contains an image. Key: the path, the image and its name. New version: another form of
    /// the entry, or other bytes for the same image.
    WrittenFiles,
}

impl Bucket {
    /// Returns the name of the folder.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Releases => "releases-1",
            Self::VerifiedReleases => "verified-2",
            Self::ListsOutOfReach => "lists-out-of-reach-1",
            Self::BaseFacts => "base-facts-1",
            Self::DebianHalves => "debian-half-4",
            Self::IndexPages => "index-pages-1",
            Self::UnpinnedWheels => "unpinned-1",
            Self::Parts => "parts-6",
            Self::PythonFiles => "python-files-7",
            Self::BinaryTexts => "binary-texts-2",
            Self::CopiedFacts => "copied-facts-1",
            Self::BaseLayers => "base-layers-1",
            Self::BaseImages => "base-images-2",
            Self::Stripped => "stripped-2",
            Self::Bytecode => "bytecode-9",
            Self::LastBytecode => "bytecode-last-5",
            Self::Sdists => "sdists-1",
            Self::Builds => "builds-1",
            Self::Proofs => "proofs-7",
            Self::Traces => "traces-1",
            Self::Lacks => "lacks-1",
            Self::Answers => "answers-3",
            Self::Layers => "layers-2",
            Self::Frames => "frames-1",
            Self::Images => "images-2",
            Self::Explanations => "explanations-1",
            Self::WrittenFiles => "written-files-1",
        }
    }
}

/// A kind of texts or bytes that are kept as segments. Its name is a part of the segment's key, so that different kinds
/// never share a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The compressed tar of some paths of a layer. Key: the paths with their nodes, the compression and the time. New
    /// version: other bytes for the same nodes.
    Tar,
    /// The end of a layer. Key: the compression. New version: other bytes.
    TarEnd,
    /// The table of contents of a layer whose files can be fetched alone. Key: the keys of the layer's other segments. New
    /// version: another table for the same files.
    LayerTable,
    /// The part of a `Packages` that resolving needs. Key: the digest of the index. New version: another reduced form.
    Packages,
    /// The part of a `Packages` that only comparisons need. Key and version as for [`Self::Packages`].
    PackageDetails,
    /// The number and sizes of files of each package, from a `Contents`. Key and version as for [`Self::Packages`].
    Extents,
    /// The packages that contain each SONAME, from a `Contents`. Key and version as for [`Self::Packages`].
    Sonames,
}

impl Form {
    /// Returns the name, for keys.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tar => "segment-4",
            Self::TarEnd => "segment-end-4",
            Self::LayerTable => "layer-table-1",
            Self::Packages => "packages-1",
            Self::PackageDetails => "details-1",
            Self::Extents => "extents-1",
            Self::Sonames => "sonames-1",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_buckets_and_no_two_forms_have_the_same_name() {
        let buckets = [
            Bucket::Releases,
            Bucket::VerifiedReleases,
            Bucket::ListsOutOfReach,
            Bucket::BaseFacts,
            Bucket::DebianHalves,
            Bucket::IndexPages,
            Bucket::UnpinnedWheels,
            Bucket::Parts,
            Bucket::PythonFiles,
            Bucket::BinaryTexts,
            Bucket::CopiedFacts,
            Bucket::BaseLayers,
            Bucket::BaseImages,
            Bucket::Stripped,
            Bucket::Bytecode,
            Bucket::LastBytecode,
            Bucket::Sdists,
            Bucket::Builds,
            Bucket::Proofs,
            Bucket::Traces,
            Bucket::Answers,
            Bucket::Layers,
            Bucket::Frames,
            Bucket::Images,
            Bucket::Explanations,
            Bucket::WrittenFiles,
        ];
        let forms = [
            Form::Tar,
            Form::TarEnd,
            Form::LayerTable,
            Form::Packages,
            Form::PackageDetails,
            Form::Extents,
            Form::Sonames,
        ];
        let names: BTreeSet<&str> =
            buckets.into_iter().map(Bucket::name).chain(forms.into_iter().map(Form::name)).collect();
        assert_eq!(names.len(), buckets.len() + forms.len());
    }
}
