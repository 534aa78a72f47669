//! Content credentials (C2PA) of pictures.
