/*
 * A doubly linked list whose links are embedded in the items: nothing is allocated, and an item is
 * removed in constant time. A link that is all zeros is in no list.
 */
#ifndef OG_COMMON_BASE_LIST_H
#define OG_COMMON_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
	struct list_link *prev, *next;
};

/* The head; it points at itself when the list is empty. */
struct list {
	struct list_link head;
};

static inline void list_init(struct list *list)
{
	list->head.prev = list->head.next = &list->head;
}

static inline bool list_empty(const struct list *list)
{
	return list->head.next == &list->head;
}

static inline bool list_linked(const struct list_link *link)
{
	return link->next != NULL;
}

/* Puts LINK into the list that NEXT is in, before it; NEXT may be the list's head. */
static inline void list_insert_before(struct list_link *next, struct list_link *link)
{
	link->prev = next->prev;
	link->next = next;
	link->prev->next = link;
	next->prev = link;
}

static inline void list_append(struct list *list, struct list_link *link)
{
	list_insert_before(&list->head, link);
}

static inline void list_prepend(struct list *list, struct list_link *link)
{
	list_insert_before(list->head.next, link);
}

/* Takes LINK out of whatever list it is in; does nothing when it is in none. */
static inline void list_remove(struct list_link *link)
{
	if (link->next == NULL)
		return;
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->prev = link->next = NULL;
}

/* The first link, still linked, or NULL when the list is empty. */
static inline struct list_link *list_first(const struct list *list)
{
	return list->head.next == &list->head ? NULL : list->head.next;
}

/* Takes the first link out and returns it; NULL when the list is empty. */
static inline struct list_link *list_take(struct list *list)
{
	struct list_link *link = list_first(list);

	if (link != NULL)
		list_remove(link);
	return link;
}

/* Walks LIST; the body may remove LINK itself but no other item. */
#define list_for_each(link, list)                                                                  \
	for (struct list_link *link = (list)->head.next, *link##_next = link->next;                \
	     link != &(list)->head; link = link##_next, link##_next = link->next)

#endif
