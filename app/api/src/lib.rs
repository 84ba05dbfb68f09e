//! The only room with listeners, routes, tokens and limits; one file a face.
