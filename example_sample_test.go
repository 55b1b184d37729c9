package tramontane_test

import (
	"context"
	"fmt"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A function has the model of its run sum a text up.
func ExampleSample() {
	server := replies(
		asksForRome,
		`{"type":"message.output","content":"about 2.8 million"}`, // to the function
		`{"type":"message.output","content":"Rome has about 2.8 million people."}`,
	)
	defer server.Close()

	sumUp := func(ctx context.Context, in city) (string, error) {
		reply, err := tramontane.Sample(ctx, &tramontane.SampleRequest{
			Instructions: "Answer in three words.",
			Inputs:       tramontane.UserText("The register counts 2 802 399 inhabitants of " + in.City + ". How many are these?"),
		})
		if err != nil {
			return "", err
		}
		return reply.Outputs[0].(*mistral.MessageOutput).Content.String(), nil
	}
	runner := &tramontane.Runner{
		Client: &mistral.Client{BaseURL: server.URL},
		Model:  "mistral-medium-latest",
		Tools:  []tramontane.Tool{tramontane.Func("population", "Tells how many people live in a city.", sumUp, nil)},
	}
	result, err := runner.Run(context.Background(), tramontane.UserText("How many people live in Rome?"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Entries[1].(*mistral.FunctionResult).Result)
	fmt.Println(result.Text)
	// Output:
	// about 2.8 million
	// Rome has about 2.8 million people.
}
