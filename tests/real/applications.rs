//! Applications and scripts with distributions from the real index. Their images are proved, and then run in the
//! sandbox.

use std::path::PathBuf;

use libtest_mimic::Trial;

use crate::lath;
use crate::needs::Need::{Namespaces, Registries};
use crate::needs::trial;

const MAIN: &str = "import wave\nfrom fastapi import FastAPI\nfrom app.models import Item\napp = FastAPI()\n\n\n\
                    @app.get('/')\ndef item() -> Item:\n    return Item(name='x')\n";
const MODELS: &str = "from pydantic import BaseModel\n\n\nclass Item(BaseModel):\n    name: str\n";
/// Runs the application and its client in one process. The client requests the page of the application.
const CLIENT: &str = "from fastapi.testclient import TestClient\nfrom app.main import app\n\
                      print(TestClient(app).get('/').json(), TestClient.__module__)\n";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("an_application_is_proved_compiled_and_run", &[Registries, Namespaces], || {
            let home = folder("application");
            let files = [
                ("requirements.txt", "fastapi\nuvicorn\nhttpx\n"),
                ("app/__init__.py", ""),
                ("app/main.py", MAIN),
                ("app/models.py", MODELS),
                ("client.py", CLIENT),
                (".env", "SECRET=1\n"),
            ];
            write(&home, &files);
            let folder = home.to_str().unwrap();
            let built = lath::built("application-image", &[folder, "--", "uvicorn", "app.main:app"]);
            let image = &built.checked.platforms[0];
            let entrypoint = serde_json::json!(["/opt/app/bin/uvicorn", "app.main:app"]);
            assert_eq!(image.config["config"]["Entrypoint"], entrypoint);
            let passed = &built.metadata["platforms"][0]["checks"]["passed"];
            // The four imports are `fastapi`, `httpx`, `uvicorn` and `app.main:app`.
            let modules = serde_json::json!({"id": "items", "kind": "modules", "count": 4});
            assert!(passed.as_array().unwrap().contains(&modules), "{passed}");
            // Bytecode that only the application needs, such as that of `wave`, is not in the layer of the standard
            // library.
            let layer = |path: &str| image.files[path].layer;
            let own = layer("app/app/main.py");
            assert_eq!(layer("app/app/__pycache__/models.cpython-313.pyc"), own);
            assert_eq!(layer("usr/lib/python3.13/__pycache__/wave.cpython-313.pyc") + 1, own);
            assert!(layer("usr/lib/python3.13/__pycache__/enum.cpython-313.pyc") + 1 < own);
            assert!(!image.files.contains_key("app/.env"));
            let said = lath::succeeded(lath::run(&home, &["run", ".", "--", "python", "client.py"]));
            assert_eq!(said, "{'name': 'x'} starlette.testclient\n");
            // The words on the command line have priority over the command in a file.
            write(&home, &[("lath.toml", "run = [\"python\", \"-c\", \"print(7)\"]\ncmd = [\"x\"]\n")]);
            assert_eq!(lath::succeeded(lath::run(&home, &["run", "."])), "7\n");
            // The default arguments in the file belong to the command that is replaced.
            let script = "import sys; print(sys.argv)";
            let said = lath::succeeded(lath::run(&home, &["run", ".", "--", "python", "-c", script]));
            assert_eq!(said, "['-c']\n");
        }),
        trial("a_script_runs_with_its_requirements_and_arguments", &[Registries, Namespaces], || {
            let home = folder("script");
            let text = "# /// script\n# requires-python = \">=3.12\"\n# dependencies = [\"rich\"]\n# ///\n\
                        import sys\nimport rich\nprint(rich.__name__, sys.argv)\n";
            write(&home, &[("report.py", text)]);
            let said = lath::succeeded(lath::run(&home, &["run", "report.py", "--", "--month", "11"]));
            assert_eq!(said, "rich ['/app/report.py', '--month', '11']\n");
        }),
    ]
}

/// Creates a folder for the inputs of a test.
fn folder(name: &str) -> PathBuf {
    let folder = lath::folder().join("inputs").join(name);
    fs_err::create_dir_all(&folder).unwrap();
    folder
}

fn write(folder: &std::path::Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
}
