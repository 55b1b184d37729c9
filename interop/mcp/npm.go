package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tramontane-dev/tramontane"
)

// tinyPNG is a picture of one pixel.
var tinyPNG = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\b\x06\x00\x00\x00\x1f\x15\xc4\x89" +
	"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82")

// files has server-filesystem do all that it can within one directory.
func files(ctx context.Context) error {
	root, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	if err := os.WriteFile(filepath.Join(root, "dot.png"), tinyPNG, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "blob.bin"), []byte{0, 1, 2, 255}, 0o600); err != nil {
		return err
	}
	s := fromNPM("filesystem", root)
	defer s.Close()

	at := func(name string) string { return filepath.Join(root, name) }
	path := func(name string) string { return jsonOf(map[string]string{"path": at(name)}) }
	steps := []step{
		{"list_allowed_directories", "", says(root)},
		{"create_directory", path("notes/old"), says("Successfully")},
		{"write_file", jsonOf(map[string]string{"path": at("notes/a.txt"), "content": "one\ntwo\nthree"}), says("Successfully")},
		{"read_text_file", path("notes/a.txt"), both(says("two"), structured("content", "one\ntwo\nthree"))},
		{"read_text_file", jsonOf(map[string]any{"path": at("notes/a.txt"), "head": 1}), structured("content", "one")},
		{"read_text_file", jsonOf(map[string]any{"path": at("notes/a.txt"), "tail": 1}), structured("content", "three")},
		{"read_file", path("notes/a.txt"), says("three")},
		{"edit_file", jsonOf(map[string]any{
			"path":   at("notes/a.txt"),
			"edits":  []map[string]string{{"oldText": "two", "newText": "zwei"}},
			"dryRun": true,
		}), says("+zwei")},
		{"edit_file", jsonOf(map[string]any{"path": at("notes/a.txt"), "edits": []map[string]string{{"oldText": "two", "newText": "zwei"}}}), says("-two")},
		{"read_multiple_files", jsonOf(map[string]any{"paths": []string{at("notes/a.txt"), at("none.txt")}}), says("zwei")},
		{"read_media_file", path("dot.png"), holds("the picture", 1, func(c *tramontane.ImageContent) bool {
			return c.MIMEType == "image/png" && string(c.Data) == string(tinyPNG)
		})},
		{"read_media_file", path("blob.bin"), holds("the file", 1, func(c *tramontane.ResourceContent) bool { return string(c.Blob) == "\x00\x01\x02\xff" })},
		{"list_directory", path(""), says("[DIR] notes")},
		{"list_directory_with_sizes", jsonOf(map[string]any{"path": root, "sortBy": "size"}), says("dot.png")},
		{"directory_tree", path(""), says(`"name": "a.txt"`)},
		{"move_file", jsonOf(map[string]string{"source": at("notes/a.txt"), "destination": at("notes/old/b.txt")}), says("Successfully")},
		{"search_files", jsonOf(map[string]string{"path": root, "pattern": "**/*.txt"}), says(at("notes/old/b.txt"))},
		{"get_file_info", path("notes/old/b.txt"), says("isFile: true")},
		{"read_text_file", path("notes/a.txt"), fails("ENOENT")},
		{"read_text_file", jsonOf(map[string]string{"path": "/etc/hosts"}), fails("denied")},
		{"write_file", jsonOf(map[string]string{"path": at("../escaped.txt"), "content": "x"}), fails("denied")},
	}
	if err := play(ctx, s, steps, nil); err != nil {
		return err
	}
	if got, err := os.ReadFile(at("notes/old/b.txt")); err != nil || string(got) != "one\nzwei\nthree" {
		return fmt.Errorf("the file on disk is %q, %v", got, err)
	}
	ok("filesystem: what it wrote is on the disk")
	return allPlayed(ctx, s, steps, nil)
}

// memory has server-memory keep a graph, and finds it there after a restart.
func memory(ctx context.Context) error {
	dir, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	s := fromNPM("memory")
	s.Env = map[string]string{"MEMORY_FILE_PATH": filepath.Join(dir, "graph.jsonl")}
	defer s.Close()

	steps := []step{
		{"create_entities", `{"entities":[
			{"name":"Ada","entityType":"person","observations":["wrote programs"]},
			{"name":"Charles","entityType":"person","observations":["built engines"]},
			{"name":"Bob","entityType":"person","observations":[]}]}`, says("Charles")},
		{"create_relations", `{"relations":[{"from":"Ada","to":"Charles","relationType":"knows"},{"from":"Bob","to":"Ada","relationType":"reads"}]}`, says("knows")},
		{"add_observations", `{"observations":[{"entityName":"Ada","contents":["liked flying"]}]}`, says("liked flying")},
		{"read_graph", "", both(says("liked flying"), says("engines"))},
		{"search_nodes", `{"query":"flying"}`, says("Ada")},
		{"open_nodes", `{"names":["Charles"]}`, says("built engines")},
		{"delete_observations", `{"deletions":[{"entityName":"Ada","observations":["liked flying"]}]}`, structured("success", true)},
		{"delete_relations", `{"relations":[{"from":"Ada","to":"Charles","relationType":"knows"}]}`, structured("success", true)},
		{"delete_entities", `{"entityNames":["Bob"]}`, structured("success", true)},
	}
	if err := play(ctx, s, steps, nil); err != nil {
		return err
	}
	if err := allPlayed(ctx, s, steps, nil); err != nil {
		return err
	}
	if err := read(ctx, s, shelf{
		resources: 1,
		texts:     map[string]string{"memory://knowledge-graph": "wrote programs"},
		missing:   "memory://nothing",
	}); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	again := fromNPM("memory")
	again.Env = s.Env
	defer again.Close()
	return play(ctx, again, []step{{"read_graph", "", func(r *tramontane.ToolResult) error {
		text := r.Text()
		if !strings.Contains(text, "wrote programs") || strings.Contains(text, "Bob") || strings.Contains(text, "knows") {
			return fmt.Errorf("not what was left")
		}
		return nil
	}}}, nil)
}

// thinking has server-sequential-thinking keep a chain of thoughts.
func thinking(ctx context.Context) error {
	s := fromNPM("sequential-thinking")
	defer s.Close()
	steps := []step{
		{"sequentialthinking", `{"thought":"Ask for the place.","nextThoughtNeeded":true,"thoughtNumber":1,"totalThoughts":2}`, structured("thoughtHistoryLength", 1)},
		{"sequentialthinking", `{"thought":"No, it is known.","nextThoughtNeeded":true,"thoughtNumber":2,"totalThoughts":2,"isRevision":true,"revisesThought":1}`,
			structured("thoughtHistoryLength", 2)},
		{"sequentialthinking", `{"thought":"Or ask for the time.","nextThoughtNeeded":true,"thoughtNumber":3,"totalThoughts":2,"branchFromThought":1,"branchId":"time"}`,
			structured("totalThoughts", 3)},
		{"sequentialthinking", `{"thought":"Done.","nextThoughtNeeded":false,"thoughtNumber":4,"totalThoughts":4}`,
			both(structured("nextThoughtNeeded", false), says(`"time"`))},
		{"sequentialthinking", `{"thought":"Malformed.","nextThoughtNeeded":false,"thoughtNumber":0,"totalThoughts":4}`, fails("thoughtNumber")},
	}
	if err := play(ctx, s, steps, nil); err != nil {
		return err
	}
	return allPlayed(ctx, s, steps, nil)
}
