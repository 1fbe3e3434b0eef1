package ec2

import (
	"slices"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

type stateXML struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

type changeXML struct {
	ID       string   `xml:"instanceId"`
	Current  stateXML `xml:"currentState"`
	Previous stateXML `xml:"previousState"`
}

type changesReply struct {
	Instances set[changeXML] `xml:"instancesSet"`
}

type doneReply struct {
	Return bool `xml:"return"`
}

// each finds the instances of a call, all or none, and reports what the change did to each.
func (c *Cloud) each(p *params, check func(*instance, string) error, change func(*instance, time.Time)) (func(time.Time) (any, error), error) {
	ids := p.list("InstanceId")
	if len(ids) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameter InstanceId")
	}
	return func(now time.Time) (any, error) {
		for _, id := range ids {
			i := c.machines[id]
			if i == nil {
				return nil, refuse("InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
			}
			if err := check(i, i.state(now)); err != nil {
				return nil, err
			}
		}
		var reply changesReply
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			i := c.machines[id]
			before := i.state(now)
			change(i, now)
			after := i.state(now)
			reply.Instances.Items = append(reply.Instances.Items, changeXML{id, stateXML{stateCodes[after], after}, stateXML{stateCodes[before], before}})
		}
		return reply, nil
	}, nil
}

func notIn(i *instance, text string) error {
	return refuse("IncorrectInstanceState", "The instance '"+i.ID+"' is not in "+text)
}

func terminateInstances(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	return c.each(p, func(*instance, string) error { return nil }, func(i *instance, now time.Time) { i.end(now, ownReason) })
}

func stopInstances(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	return c.each(p, func(i *instance, state string) error {
		switch {
		case state == shuttingDown || state == terminated || state == pending:
			return notIn(i, "a state from which it can be stopped.")
		case i.Spot:
			return refuse("UnsupportedOperation", "You can't stop the Spot Instance '"+i.ID+"' because it is associated with a one-time Spot Instance request.")
		}
		return nil
	}, func(i *instance, now time.Time) {
		if i.stoppedAt.IsZero() {
			i.stoppedAt = now
		}
	})
}

func startInstances(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	return c.each(p, func(i *instance, state string) error {
		if state == shuttingDown || state == terminated || state == stopping {
			return notIn(i, "a state from which it can be started.")
		}
		return nil
	}, func(i *instance, now time.Time) {
		if !i.stoppedAt.IsZero() {
			i.stoppedAt, i.startedAt, i.LaunchedAt, i.boot = time.Time{}, now, now.Truncate(time.Second), bootTime
		}
	})
}

func modifyInstanceAttribute(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	id, size := p.get("InstanceId"), p.get("InstanceType.Value")
	return func(now time.Time) (any, error) {
		i := c.machines[id]
		switch {
		case i == nil:
			return nil, refuse("InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
		case types[size].Arch == "":
			return nil, refuse("InvalidAttributeValue", "Invalid value '"+size+"' for InstanceType.")
		case i.state(now) != stopped:
			return nil, notIn(i, "the 'stopped' state.")
		case types[size].Arch != types[i.Type].Arch:
			return nil, refuse("InvalidParameterCombination", "The architecture of '"+size+"' does not match that of the instance '"+i.ID+"'.")
		case slices.Contains(types[size].NotIn, i.Zone):
			return nil, refuse("Unsupported", "The requested configuration is currently not supported.")
		}
		i.Type = size
		return doneReply{true}, nil
	}, nil
}

func deleteTags(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	return tagging(c, p, func(ids []string, tags map[string]string, _ time.Time) {
		for _, id := range ids {
			c.machines[id].untagged(tags)
		}
	})
}

func createTags(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	return tagging(c, p, func(ids []string, tags map[string]string, now time.Time) {
		visible := now
		if order, struck := c.Board.Take("CreateTags", ids, TagLag); struck {
			visible = now.Add(faults.Duration.Duration(order.For))
		}
		for _, id := range ids {
			c.machines[id].tagged(copyOf(tags), now, visible)
		}
	})
}

// tagging checks a request about tags of instances, all of which must be there, before do.
func tagging(c *Cloud, p *params, do func(ids []string, tags map[string]string, now time.Time)) (func(time.Time) (any, error), error) {
	ids := p.list("ResourceId")
	tags, err := p.tags("Tag")
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 || len(tags) == 0 {
		return nil, refuse("MissingParameter", "The request must contain the parameters ResourceId and Tag")
	}
	return func(now time.Time) (any, error) {
		for _, id := range ids {
			if i := c.machines[id]; i == nil || i.state(now) == terminated {
				return nil, refuse("InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
			}
		}
		do(ids, tags, now)
		return doneReply{true}, nil
	}, nil
}
