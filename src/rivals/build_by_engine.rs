//! Dockerfile -> image, by an engine: builds it, checks that it works, and measures its size.

use crate::model::event::Event;
use crate::model::request::Request;
use crate::outside::world::World;
use crate::rivals::engine::{BuildJob, Engine, EngineError};
use crate::rivals::model::dockerfile::{Dockerfile, DockerfileRequest, EngineReceipt, EngineRequest, Mounts};

/// Finds an engine and adapts the request to it. Unless the user chose a builder, the Dockerfile has mounts only if the
/// builder of the engine supports mounts. If the engine already has the base image, and knows its digest in a registry,
/// the base image is pinned to this digest.
pub(crate) fn suit(
    wanted: &DockerfileRequest,
    how: &EngineRequest,
) -> Result<(Engine, DockerfileRequest), EngineError> {
    let engine = Engine::find(&how.programs, how.platform)?;
    let mut wanted = wanted.clone();
    wanted.mounts = how.mounts.unwrap_or(engine.mounts());
    if wanted.mounts == Mounts::Known && engine.mounts() == Mounts::Unknown {
        return Err(EngineError::NoMounts { program: engine.program().name() });
    }
    if !wanted.from.contains('@')
        && let Some(digest) = engine.digest(&wanted.from)
    {
        wanted.from = format!("{}@{digest}", wanted.from);
    }
    Ok((engine, wanted))
}

/// An engine, and the options of its builds.
pub(crate) struct Builder<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) how: &'a EngineRequest,
    pub(crate) mounts: Mounts,
}

/// Builds `dockerfile`, and gives the image the name in the request. Then runs the checks in the image, and reads the
/// size of the image.
pub(crate) fn build_by_engine(
    dockerfile: &Dockerfile,
    builder: &Builder<'_>,
    request: &Request,
    world: &World,
) -> Result<EngineReceipt, EngineError> {
    let Builder { engine, how, mounts } = *builder;
    let name = request.output.name.as_str();
    let job = BuildJob {
        text: &dockerfile.text,
        tag: name,
        mounts,
        certificates: how.certificates.as_deref(),
        context: &dockerfile.context,
        store: &world.store,
        uses_cache: how.uses_cache,
    };
    let build = engine.build(&job, &*world.listener)?;
    let mut passed = Vec::new();
    for check in &dockerfile.checks {
        world.listener.hear(Event::Step(format!("checking `{}`", check.name)));
        engine.check(name, check)?;
        passed.push(check.name.clone());
    }
    Ok(EngineReceipt {
        program: engine.program(),
        dockerfile: dockerfile.text.clone(),
        build,
        size_bytes: engine.size_bytes(name)?,
        checks: passed,
    })
}
