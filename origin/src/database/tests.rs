//! What no test through the service's door can bring about for sure.

use darkroom_shared::job::Status;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::{Format, MaskChannel, Visibility};
use uuid::Uuid;

use super::{Acceptance, Address, Claim, Database, NewImage, NewJob};

fn job() -> NewJob {
    NewJob {
        id: Uuid::from_u128(1),
        account: "alice".into(),
        task_id: None,
        recipe: Recipe {
            prompt: "p".into(),
            negative_prompt: None,
            width: 64,
            height: 64,
            steps: 4,
            guidance_scale: 1.0,
            scheduler: "euler".into(),
            seed: 1,
            model: "m".into(),
            revision: "r".into(),
            engine: "e".into(),
            format: Format::Png,
            jpeg_quality: None,
            init_image: None,
            mask: None,
            mask_channel: MaskChannel::default(),
            strength: None,
        },
        visibility: Visibility::Public,
        images: vec![NewImage {
            id: Uuid::from_u128(2),
            key: "k".into(),
            seed: 1,
            recipe_sha256: "s".into(),
        }],
        start: None,
        previews: 0,
        now: 0,
    }
}

#[tokio::test]
async fn a_picture_that_is_stored_after_its_job_was_handed_back_ends_the_job() {
    let folder = tempfile::tempdir().expect("folder");
    let address = Address::file(folder.path().join("darkroom.db"));
    let database = Database::open(&address).await.expect("opened");
    let new = job();
    let accepted = database.accept(&new, 1).await.expect("accepted");
    assert_eq!(accepted, Acceptance::Accepted);
    let claim = database.claim(1).await.expect("claimed");
    assert!(matches!(claim, Some(Claim::Job(_))));
    assert_eq!(database.hand_back(2).await.expect("handed back"), 1);

    let image = new.images[0].id.to_string();
    let ended = database.image_stored(&image, 1, "s", 3).await;
    assert!(ended.expect("recorded"));
    let status = database.status("alice", &new.id.to_string()).await;
    assert_eq!(status.expect("read"), Some(Status::Succeeded));
    assert!(database.claim(4).await.expect("asked").is_none());
}
