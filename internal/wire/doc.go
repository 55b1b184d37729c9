// Package wire encodes and decodes JSON objects without losing what it does
// not know: members without a field, nulls, and raw values survive a round
// trip byte for byte, which encoding/json cannot promise.
//
// A struct takes part by having a field of type [Extra]. Its other fields use
// the tags of encoding/json. A field without an option is required: it is
// always written (a nil slice as []), and [Problems] reports it when it was
// missing. With "omitzero" it is left out when zero; with the tag wire:"always"
// it is written even then, though the other side need not send it. A blank field
// with a tag wire is a member that always has one value (another that was read
// is kept as an unknown member is, but type must be right):
//
//	type Text struct {
//		_      struct{} `wire:"type=text"`
//		Text   string   `json:"text"`
//		Prefix bool     `json:"prefix" wire:"always"`
//		Lang   string   `json:"lang,omitzero"`
//		Extra  Extra
//	}
package wire
