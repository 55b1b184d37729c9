package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// A person answers the questions of a server.
type person struct {
	fields map[string]any // what they fill in where it is asked for

	mu    sync.Mutex // guards the fields below
	moods []mcptool.ElicitationAction
	asked int
}

// answers returns a person who takes each question as the moods say, one after
// the other, and accepts all later ones.
func answers(fields map[string]any, moods ...mcptool.ElicitationAction) *person {
	return &person{fields: fields, moods: moods}
}

// elicit is a Server's Elicit.
func (p *person) elicit(_ context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if q.Problem != "" {
		return nil, fmt.Errorf("the answer was wrong: %s", q.Problem)
	}
	answer := &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept}
	if len(p.moods) > 0 {
		answer.Action, p.moods = p.moods[0], p.moods[1:]
	}
	if answer.Action == mcptool.ElicitAccept {
		answer.Content = make(map[string]any)
		for _, field := range q.Fields {
			if value, ok := p.fields[field.Name]; ok {
				answer.Content[field.Name] = value
			}
		}
	}
	return answer, nil
}

// questions says how often the person was asked.
func (p *person) questions() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}
