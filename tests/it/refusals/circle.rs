//! Servers that redirect requests in a circle.

use testkit::Response;

use super::{refused, unwrapped};
use crate::world::World;

#[test]
fn a_redirect_of_an_index_that_leads_back_to_itself_is_reported_as_one() {
    let paths = ["/simple/tool/", "/files/tool-1.0-py3-none-any.whl.metadata", "/files/tool-1.0-py3-none-any.whl"];
    let errors = paths.map(|path| {
        let world = World::usual();
        world.pypi.server.set(path, Response::redirect(&world.pypi.server.url(path)));
        unwrapped(&refused(&world, "tool"))
    });
    insta::assert_snapshot!(errors.join("\n\n"), @"
    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: Failed to fetch: `[INDEX]/simple/tool/`
      cause: error following redirect for url ([INDEX]/simple/tool/)
      cause: too many redirects

    hint: the server redirects requests in a circle: check whether the URL is right, or use another server

    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: Failed to fetch: `[INDEX]/files/tool-1.0-py3-none-any.whl.metadata`
      cause: error following redirect for url ([INDEX]/files/tool-1.0-py3-none-any.whl.metadata)
      cause: too many redirects

    hint: the server redirects requests in a circle: check whether the URL is right, or use another server

    error: cannot fetch all wheels and packages
      cause: cannot fetch `[INDEX]/files/tool-1.0-py3-none-any.whl`
      cause: error following redirect
      cause: too many redirects

    hint: the server redirects requests in a circle: check whether the URL is right, or use another server
    ");
    // Here, the circle consists of two paths, and the URL of the index contains a password.
    let world = World::usual();
    let server = &world.pypi.server;
    server.set("/simple/tool/", Response::redirect(&server.url("/back")));
    server.set("/back", Response::redirect(&server.url("/simple/tool/")));
    let words = format!("tool --default-index {}", server.url_as("me", "secret", "/simple/"));
    insta::assert_snapshot!(unwrapped(&refused(&world, &words)), @"
    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: Failed to fetch: `[INDEX]/simple/tool/`
      cause: error following redirect for url ([INDEX]/simple/tool/)
      cause: too many redirects

    hint: the server redirects requests in a circle: check whether the URL is right, or use another server
    ");
    let world = World::usual();
    let path = world.debian.in_release_path();
    world.debian.server.set(&path, Response::redirect(&world.debian.server.url(&path)));
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot read the archive's `[MIRROR]/debian/dists/trixie/InRelease`
      cause: cannot fetch `[MIRROR]/debian/dists/trixie/InRelease`
      cause: error following redirect
      cause: too many redirects

    hint: the server redirects requests in a circle: check whether the URL is right, or use another server
    ");
}
