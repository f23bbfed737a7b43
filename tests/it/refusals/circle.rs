//! Servers that send requests round in a circle.

use testkit::Response;

use super::assert_refused;
use crate::world::World;

#[test]
fn a_redirect_of_an_index_that_leads_back_to_itself_is_reported_as_one() {
    let paths = ["/simple/tool/", "/files/tool-1.0-py3-none-any.whl.metadata", "/files/tool-1.0-py3-none-any.whl"];
    for path in paths {
        let world = World::usual();
        world.pypi.server.set(path, Response::redirect(&world.pypi.server.url(path)));
        assert_refused(&world, "tool", &["redirect", path, "\n\nhint: the server sends requests round in a circle"]);
    }
    // By two paths, and for an index with a password.
    let world = World::usual();
    let server = &world.pypi.server;
    server.set("/simple/tool/", Response::redirect(&server.url("/back")));
    server.set("/back", Response::redirect(&server.url("/simple/tool/")));
    let words = format!("tool --default-index {}", server.url_as("me", "secret", "/simple/"));
    assert_refused(&world, &words, &["redirect", "\n\nhint: the server sends requests round in a circle"]);
    let world = World::usual();
    let path = world.debian.in_release_path();
    world.debian.server.set(&path, Response::redirect(&world.debian.server.url(&path)));
    assert_refused(&world, "tool", &["redirect", &path, "\n\nhint: the server sends requests round in a circle"]);
}
