package faults

// Refusal is what a cloud answers instead of doing what it was asked for: the same whether it was ordered or has its reason.
type Refusal struct {
	Status     int // of HTTP
	Code, Text string
}

// Refuse returns a refusal.
func Refuse(status int, code, text string) *Refusal { return &Refusal{status, code, text} }

func (r *Refusal) Error() string { return r.Code + ": " + r.Text }

// Strike takes an order of one of the names that fits a call, and writes down that it struck there.
func (s *Stage) Strike(call *Call, operation string, targets []string, names ...string) (Order, bool) {
	order, struck := s.Board.Take(operation, targets, names...)
	if struck {
		s.Log.Note(call, func(c *Call) { c.Fault = order.Name })
	}
	return order, struck
}
