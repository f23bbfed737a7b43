//! The cache buckets, and the forms of segments in the store. Each bucket and each form has its own version.
//!
//! A version must change if entries of an older lath would be wrong for this lath. There are three cases: the value has
//! another format, the same key would have another value, or the key is computed in another way. Old entries are then
//! no longer used, and are removed by pruning. In the comments below, "other" means: other than in an older lath.

/// A kind of cache entries. Each bucket is a folder of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// The InRelease file of a pocket, and its entity tag. Key: its URL. New version if: the format of the entry
    /// changes.
    Releases,
    /// The text of an InRelease whose signature was verified, and the keys that signed it. Key: the keyring and the
    /// signed text. New version if: the format of the entry changes, or other signatures count as valid.
    VerifiedReleases,
    /// The time at which an archive's lists of all files could not be fetched, in seconds since 1970. Key: the digests
    /// of the lists. New version if: the format of the entry changes.
    ListsOutOfReach,
    /// The exact Python and glibc of a base. Key: the snapshot of the archive and the version of Python. New version
    /// if: lath reads these facts from the packages in another way.
    BaseFacts,
    /// The resolved .debs. Key: the snapshot of the archive, and the complete input of the solver. New version if: the
    /// same input has another result, for example because the solver changed.
    DebianHalves,
    /// The pages of an index that a request used. Key: the requirements, the platform and the version of Python. New
    /// version if: the format of the entry changes. Other changes are harmless, because the pages are only prefetched.
    IndexPages,
    /// The digest and the entity tag of a wheel whose sha256 is not known in advance. Key: its URL without credentials.
    /// New version if: the format of the entry changes.
    UnpinnedWheels,
    /// The files of an opened parcel, and the pack that contains the small files. Key: the parcel's digest and the
    /// vocabulary. New version if: the same parcel has another part. The tests in `tests/it/store.rs` contain the name
    /// of the folder.
    Parts,
    /// The facts about those Python files of a parcel that a build has needed. Key: the parcel's digest. New version
    /// if: the same file has other facts, for example because of another version of ruff's parser.
    PythonFiles,
    /// Those texts in a parcel's extension modules that may be names of modules. Key: the parcel's digest. New version
    /// if: the same file has other texts.
    BinaryTexts,
    /// The facts about a large file of the user. Key: its digest and the vocabulary. New version if: the same file has
    /// other facts.
    CopiedFacts,
    /// The changes of one layer of a base image. Key: the layer's digest and the vocabulary. New version if: the same
    /// layer has other changes.
    BaseLayers,
    /// A base image as one tree, and the facts in it. Key: the manifest's digest and the vocabulary. New version if:
    /// lath makes another tree from the same layers, or finds other facts in the tree.
    BaseImages,
    /// An extension module without symbols. Key: the module's digest. New version if: the same module has other bytes.
    Stripped,
    /// The bytecode of a tree. Key: the tree's digest, the entry points, and everything that affects bytecode,
    /// including the text of the driver. New version if: the format of the entry changes, other files are chosen, or
    /// the same driver creates other bytecode.
    Bytecode,
    /// The bytecode of each file of the last tree. Key: the same values as for [`Self::Bytecode`], but without the
    /// tree's digest. New version if: the format of the entry changes, or the same driver creates other bytecode.
    LastBytecode,
    /// The bytecode of the files of Debian packages, such as the standard library. All images with the same Python
    /// share it. Key: the digest of the interpreter, and the text of the driver. New version if: the format of the
    /// entry changes, or the same driver creates other bytecode.
    PackageBytecode,
    /// Those files of a source distribution that decide how it is built. Key: the digest of its archive, and the folder
    /// in it. New version if: the same archive has another value.
    Sdists,
    /// The result of a step in a build from source: further requirements, metadata, or a wheel. Key: the source and
    /// everything that affects its build, including the text of the driver. New version if: the format of the entry
    /// changes, or the same build creates another wheel.
    Builds,
    /// The summary of a proof. Key: the digests of both trees, the checks, and the settings for programs. New version
    /// if: the same key has other checks or another result, or the format of the summary changes.
    Proofs,
    /// The paths that the checks of an untrimmed tree used. Key: the tree, the commands and the settings for programs.
    /// New version if: the same commands have other paths.
    Traces,
    /// The removed files that a check needs. Key: the key of the proof. New version if: the search finds other files,
    /// or the format of the entry changes.
    Lacks,
    /// The results of a task of a proof in one tree. Key: the task, the digest of the files on which it depends, and
    /// the settings for programs. New version if: programs are run in another way, so that results could differ.
    Answers,
    /// A layer that consists of segments. Key: the keys of the segments. New version if: the format of the entry
    /// changes.
    Layers,
    /// The positions of the files in a segment. They are needed to fetch a single file from the layer. Key: the
    /// segment's key. New version if: the format of the entry changes.
    Frames,
    /// A sealed image and its receipt. Key: the program, the lock and all options. New version if: the format of the
    /// entry changes.
    Images,
    /// The bytes that the next level of trim would remove. Key: the program, both trees, the lock and the options. New
    /// version if: the format of the entry changes.
    NextLevels,
    /// The blob with the explanation of an image. Key: the digest of the image's config. New version if: the format of
    /// the entry or of the explanation changes.
    Explanations,
    /// The state of a file that contains an image. Key: the path, the image and its name. New version if: the format of
    /// the entry changes, or the same image has other bytes.
    WrittenFiles,
    /// The last image that was pushed to a repository, and its blobs. Key: the registry and the repository. New version
    /// if: the format of the entry changes.
    PushedImages,
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
            Self::Parts => "parts-8",
            Self::PythonFiles => "python-files-11",
            Self::BinaryTexts => "binary-texts-2",
            Self::CopiedFacts => "copied-facts-2",
            Self::BaseLayers => "base-layers-2",
            Self::BaseImages => "base-images-4",
            Self::Stripped => "stripped-2",
            Self::Bytecode => "bytecode-10",
            Self::LastBytecode => "bytecode-last-5",
            Self::PackageBytecode => "bytecode-packages-1",
            Self::Sdists => "sdists-1",
            Self::Builds => "builds-1",
            Self::Proofs => "proofs-8",
            Self::Traces => "traces-2",
            Self::Lacks => "lacks-2",
            Self::Answers => "answers-4",
            Self::Layers => "layers-2",
            Self::Frames => "frames-1",
            Self::Images => "images-4",
            Self::NextLevels => "next-levels-2",
            Self::Explanations => "explanations-2",
            Self::WrittenFiles => "written-files-1",
            Self::PushedImages => "pushed-images-1",
        }
    }
}

/// A kind of data that is stored as segments. Its name is a part of the segment's key, so two kinds never use the same
/// file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The compressed tar of some paths of a layer. Key: the paths with their nodes, the compression and the time. New
    /// version if: the same nodes have other bytes.
    Tar,
    /// The end of a layer. Key: the compression. New version if: the bytes change.
    TarEnd,
    /// The table of contents of a layer from which single files can be fetched. Key: the keys of the layer's other
    /// segments. New version if: the same files have another table.
    LayerTable,
    /// The part of a `Packages` that is needed to resolve a request. Key: the digest of the index. New version if: the
    /// reduced form changes.
    Packages,
    /// The part of a `Packages` that is needed only for comparisons. Key and version as for [`Self::Packages`].
    PackageDetails,
    /// The number of files of each kind in each package, from a `Contents`. Key and version as for [`Self::Packages`].
    Extents,
    /// The packages that contain each SONAME, from a `Contents`. Key and version as for [`Self::Packages`].
    Sonames,
}

impl Form {
    /// Returns the name that is used in keys.
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
            Bucket::PackageBytecode,
            Bucket::Sdists,
            Bucket::Builds,
            Bucket::Proofs,
            Bucket::Traces,
            Bucket::Answers,
            Bucket::Layers,
            Bucket::Frames,
            Bucket::Images,
            Bucket::NextLevels,
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
