package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/internal/playcalls"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// offerSkills lists the skills and offers them to the model of a run, which
// loads none: no file of them may be read.
func offerSkills(ctx context.Context, p *peer) error {
	s := p.server()
	defer s.Close()
	s.SkillTools = true
	skills, err := skillsOf(ctx, s)
	if err != nil {
		return err
	}
	if err := call(ctx, s, playcalls.Call{Tool: "skills/list"}); err != nil {
		return err
	}
	tools, err := s.Tools(ctx)
	if err != nil {
		return err
	}
	for _, tool := range tools {
		if def := tool.Definition(); def.Original == "skills/load" && strings.Contains(def.Description, skills[0].URI) {
			return nil
		}
	}
	return fmt.Errorf("the model is not told of %s", skills[0].URI)
}

// refuseSkill has the program and the model of a run load a skill that is not
// what its entry says, and then a file of it: neither gets anything.
func refuseSkill(ctx context.Context, p *peer) error {
	s := p.server()
	defer s.Close()
	s.SkillTools = true
	skills, err := skillsOf(ctx, s)
	if err != nil {
		return err
	}
	if text, err := s.LoadSkill(ctx, skills[0]); !errors.Is(err, mcptool.ErrSkill) || text != "" {
		return fmt.Errorf("a skill that is not what its entry says is loaded: %q, %v", text, err)
	}
	var names []string
	tools, err := s.Tools(ctx)
	if err != nil {
		return err
	}
	for _, tool := range tools {
		if tool.Definition().Original == "skills/load" {
			names = append(names, tool.Definition().Name)
		}
	}
	if len(names) != 1 {
		return fmt.Errorf("%d tools load skills", len(names))
	}
	load := func(file string) playcalls.Call {
		arguments, _ := json.Marshal(map[string]string{"uri": skills[0].URI, "file": file}) // cannot fail
		return playcalls.Call{Tool: names[0], Arguments: arguments}
	}
	results, err := playcalls.Run(ctx, []tramontane.Toolset{s}, []playcalls.Call{load(""), load("references/FORMS.md")}, nil)
	if err != nil {
		return err
	}
	for _, result := range results {
		if !result.IsError {
			return fmt.Errorf("the model loads what is not what its entry says: %s", result.Entry.Result)
		}
	}
	return nil
}

// skillsOf lists the skills, of which there must be some.
func skillsOf(ctx context.Context, s *mcptool.Server) ([]*mcptool.Skill, error) {
	var skills []*mcptool.Skill
	for skill, err := range s.Skills(ctx) {
		if err != nil {
			return nil, err
		}
		skills = append(skills, skill)
	}
	if len(skills) == 0 {
		return nil, errors.New("the server lists no skills")
	}
	return skills, nil
}
