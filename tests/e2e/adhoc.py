"""Ad-hoc commands (XEP-0050) as an administrator's client runs them, and what they reply."""

from xml.sax.saxutils import escape

from chat import COMMANDS, DISCO, FORMS


class Row(dict):
    """A row of a list: what it doesn't have is empty."""

    def __missing__(self, column):
        return ""


class Result:
    """What a command was answered with: its fields, its rows ("COLUMN.ROW") and its notes."""

    def __init__(self, command):
        self.status, self.session = command.get("status"), command.get("sessionid")
        actions = command.find(f"{{{COMMANDS}}}actions")
        self.actions = [] if actions is None else [a.tag.split("}")[1] for a in actions]
        self.notes = [note.text for note in command.iter(f"{{{COMMANDS}}}note")]
        form = command.find(f"{{{FORMS}}}x")
        self.type = None if form is None else form.get("type")
        self.fields = {} if form is None else dict(map(value_of, form.findall(f"{{{FORMS}}}field")))
        fields = [] if form is None else form.findall(f"{{{FORMS}}}field")
        self.options = {field.get("var"): options_of(field) for field in fields}
        self.lines = {field.get("var"): lines_of(field) for field in fields}
        self.rows = []
        for var in [var for var in self.fields if "." in var]:
            column, number = var.split(".")
            if int(number) > len(self.rows):
                self.rows.append(Row())
            assert int(number) == len(self.rows)
            self.rows[-1][column] = self.fields.pop(var)
        assert form is None or form.find(f"{{{FORMS}}}reported") is None  # Gajim 1.7

    def row(self, **wanted):
        """The one row in which WANTED is."""
        (found,) = [row for row in self.rows if wanted.items() <= row.items()]
        return found


def options_of(field):
    """{value: label} of what can be chosen."""
    options = field.findall(f"{{{FORMS}}}option")
    return {option.findtext(f"{{{FORMS}}}value"): option.get("label") for option in options}


def lines_of(field):
    return [value.text or "" for value in field.findall(f"{{{FORMS}}}value")]


def value_of(field):
    return field.get("var"), field.findtext(f"{{{FORMS}}}value", "")


async def command(client, to, node, fields=None, **attributes):
    """Runs an ad-hoc command, with a form if FIELDS are given."""
    payload = f'<command xmlns="{COMMANDS}" node="{node}"'
    payload += "".join(f' {name}="{value}"' for name, value in attributes.items()) + ">"
    if fields is not None:
        payload += f'<x xmlns="{FORMS}" type="submit">'
        for var, value in fields.items():
            lines = value if isinstance(value, list) else [value]
            values = "".join(f"<value>{escape(line)}</value>" for line in lines)
            payload += f'<field var="{var}">{values}</field>'
        payload += "</x>"
    return Result((await client.query("set", to, payload + "</command>")).xml[0])


async def nodes_of(client, to):
    query = f'<query xmlns="{DISCO}#items" node="{COMMANDS}"/>'
    return {item.get("node") for item in (await client.query("get", to, query)).xml[0]}
