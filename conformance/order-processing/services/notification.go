// Notification, with amqp091-go: writes to the customer when an order was placed
// and when it was paid for, or could not be.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const queue = "shop.notification"

func main() {
	url := environment("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
	journal, err := openJournal(environment("JOURNAL", "notification.jsonl"))
	if err != nil {
		log.Fatal(err)
	}
	for {
		err := consume(url, journal)
		log.Printf("connection lost, trying again: %v", err)
		time.Sleep(200 * time.Millisecond)
	}
}

// consume handles events until the connection breaks.
func consume(url string, journal *Journal) error {
	connection, err := amqp.Dial(url)
	if err != nil {
		return err
	}
	defer connection.Close()
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	if err := channel.Qos(20, 0, false); err != nil {
		return err
	}
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for delivery := range deliveries {
		if err := settle(delivery, journal); err != nil {
			return err
		}
	}
	return errors.New("closed")
}

// settle acknowledges one event, handled now or before, or rejects it for good.
func settle(delivery amqp.Delivery, journal *Journal) error {
	if journal.handled[delivery.MessageId] {
		if err := journal.record("repeated", delivery, ""); err != nil {
			return err
		}
		return delivery.Ack(false)
	}
	if err := notify(delivery); err != nil {
		if err := journal.record("rejected", delivery, err.Error()); err != nil {
			return err
		}
		return delivery.Reject(false) // to the queue's dead-letter exchange
	}
	if err := journal.record("handled", delivery, ""); err != nil {
		return err
	}
	return delivery.Ack(false)
}

// notify stands for the mail that would go out.
func notify(delivery amqp.Delivery) error {
	var event struct {
		OrderID string `json:"order_id"`
		Email   string `json:"email"`
	}
	if err := json.Unmarshal(delivery.Body, &event); err != nil {
		return err
	}
	if delivery.RoutingKey == "order.placed" && !strings.Contains(event.Email, "@") {
		return fmt.Errorf("cannot write to %q", event.Email)
	}
	return nil
}

// Journal has one line for each delivery, written before it is settled: see journal.py.
type Journal struct {
	file    *os.File
	handled map[string]bool
}

// Entry is one line of the journal.
type Entry struct {
	Outcome     string `json:"outcome"`
	MessageID   string `json:"message_id"`
	OrderID     string `json:"order_id"`
	Event       string `json:"event"`
	Redelivered bool   `json:"redelivered"`
	Reason      string `json:"reason,omitempty"`
}

func openJournal(path string) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	journal := &Journal{file: file, handled: map[string]bool{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var entry Entry
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			return nil, err
		}
		if entry.Outcome == "handled" {
			journal.handled[entry.MessageID] = true
		}
	}
	return journal, lines.Err()
}

func (journal *Journal) record(outcome string, delivery amqp.Delivery, reason string) error {
	line, err := json.Marshal(Entry{
		Outcome:     outcome,
		MessageID:   delivery.MessageId,
		OrderID:     delivery.CorrelationId,
		Event:       delivery.RoutingKey,
		Redelivered: delivery.Redelivered,
		Reason:      reason,
	})
	if err != nil {
		return err
	}
	if _, err := journal.file.Write(append(line, '\n')); err != nil {
		return err
	}
	if outcome == "handled" {
		journal.handled[delivery.MessageId] = true
	}
	return nil
}

func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
