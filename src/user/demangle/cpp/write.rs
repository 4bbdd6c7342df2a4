//! Writes names: what a declaration has before its name, the name, and what it has behind.

use super::{DEEPEST, Form, Id, Node, Qualifiers};

/// The most steps, so that a short symbol which refers to itself again and again comes to an end.
const MOST_STEPS: u32 = 1 << 20;

pub(super) struct Writer<'n, 's> {
    nodes: &'n [Node<'s>],
    pub out: String,
    longest: usize,
    depth: u32,
    steps: u32,
    /// The element of packs that is written.
    element: Option<usize>,
    /// Names with template arguments, for which the parameters in them stand, each with the one around it.
    scopes: Vec<(Id, Scope)>,
    scope: Scope,
    /// Whether the parameters of a lambda are written, whose own template parameters are `auto`.
    lambda: bool,
}

/// One more than the index of a scope; 0 is none.
type Scope = usize;

impl<'n, 's> Writer<'n, 's> {
    pub fn new(nodes: &'n [Node<'s>], longest: usize) -> Writer<'n, 's> {
        Writer {
            nodes,
            out: String::new(),
            longest,
            depth: 0,
            steps: 0,
            element: None,
            scopes: Vec::new(),
            scope: 0,
            lambda: false,
        }
    }

    pub fn push(&mut self, text: &str) -> Option<()> {
        (self.out.len() + text.len() <= self.longest).then_some(())?;
        self.out.push_str(text);
        Some(())
    }

    fn number(&mut self, number: u64) -> Option<()> {
        self.push(&number.to_string())
    }

    /// The node, or what it stands for.
    fn node(&self, id: Id) -> Option<&'n Node<'s>> {
        let (id, _) = self.resolve(id, self.scope)?;
        self.nodes.get(id as usize)
    }

    /// What a node stands for, and the scope of that.
    fn resolve(&self, mut id: Id, mut scope: Scope) -> Option<(Id, Scope)> {
        while let Node::Parameter(number) = self.nodes.get(id as usize)? {
            // That of a lambda stands for itself.
            if self.lambda {
                break;
            }
            let (template, around) = *self.scopes.get(scope.checked_sub(1)?)?;
            let Node::Template(_, arguments) = self.nodes.get(template as usize)? else {
                return None;
            };
            id = *arguments.get(*number)?;
            if let (Node::Pack(all), Some(element)) = (self.nodes.get(id as usize)?, self.element) {
                id = *all.get(element)?;
            }
            scope = around;
        }
        Some((id, scope))
    }

    /// Writes with another scope.
    fn within(&mut self, scope: Scope, write: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let before = std::mem::replace(&mut self.scope, scope);
        let done = write(self);
        self.scope = before;
        done
    }

    /// Writes something whose template parameters stand for the arguments of a name, if it has some.
    fn of_template(&mut self, name: Id, write: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let mut template = name;
        // A local name's arguments are those of its last component.
        while let Node::Join(_, "::", last) = self.nodes.get(template as usize)? {
            template = *last;
        }
        if !matches!(self.nodes.get(template as usize)?, Node::Template(..)) {
            return write(self);
        }
        let count = self.scopes.len();
        self.scopes.push((template, self.scope));
        self.within(count + 1, write)?;
        self.scopes.truncate(count);
        Some(())
    }

    /// The name of a symbol, or of a function.
    pub fn top(&mut self, id: Id, form: Form) -> Option<()> {
        let Node::Function { name, result, parameters, qualifiers } =
            self.nodes.get(id as usize)?
        else {
            return self.all(id);
        };
        match (form, result) {
            (Form::WithoutParameters, _) => self.of_template(*name, |writer| writer.all(*name)),
            (Form::Whole, Some(result)) => self.of_template(*name, |writer| {
                writer.left(*result)?;
                if !writer.has_right(*result) {
                    writer.push(" ")?;
                }
                writer.function_here(*name, parameters, *qualifiers)?;
                writer.right(*result)
            }),
            _ => self.function(*name, parameters, *qualifiers),
        }
    }

    fn function(&mut self, name: Id, parameters: &[Id], qualifiers: Qualifiers) -> Option<()> {
        self.of_template(name, |writer| writer.function_here(name, parameters, qualifiers))
    }

    fn function_here(&mut self, name: Id, parameters: &[Id], qualifiers: Qualifiers) -> Option<()> {
        self.all(name)?;
        self.parameters(parameters)?;
        self.qualifiers(qualifiers)
    }

    fn parameters(&mut self, parameters: &[Id]) -> Option<()> {
        self.push("(")?;
        self.list(parameters)?;
        self.push(")")
    }

    fn qualifiers(&mut self, qualifiers: Qualifiers) -> Option<()> {
        for (bit, text) in Qualifiers::ALL {
            if qualifiers.0 & bit != 0 {
                self.push(text)?;
            }
        }
        Some(())
    }

    /// Items with commas between them. A pack without elements has none.
    fn list(&mut self, items: &[Id]) -> Option<()> {
        let start = self.out.len();
        for item in items {
            let before = self.out.len();
            if before > start {
                self.push(", ")?;
            }
            let begun = self.out.len();
            self.all(*item)?;
            if self.out.len() == begun {
                self.out.truncate(before);
            }
        }
        Some(())
    }

    fn all(&mut self, id: Id) -> Option<()> {
        self.left(id)?;
        self.right(id)
    }

    /// What a declaration of that type has before its name; the whole, if it is no type.
    fn left(&mut self, id: Id) -> Option<()> {
        let (id, scope) = self.resolve(id, self.scope)?;
        self.deeper(|writer| writer.within(scope, |writer| writer.left_of(id)))
    }

    fn deeper(&mut self, write: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        self.steps += 1;
        (self.depth < DEEPEST * 2 && self.steps < MOST_STEPS).then_some(())?;
        write(self)?;
        self.depth -= 1;
        Some(())
    }

    fn left_of(&mut self, id: Id) -> Option<()> {
        match self.nodes.get(id as usize)? {
            Node::Parameter(number) => {
                self.push("auto:")?;
                self.number(*number as u64 + 1)
            }
            Node::Text(text) => self.push(text),
            Node::Join(a, between, b) => {
                self.all(*a)?;
                self.push(between)?;
                self.all(*b)
            }
            Node::Prefix(text, of) => {
                self.push(text)?;
                self.all(*of)
            }
            Node::Std(short, ..) => self.push(short),
            Node::Template(name, arguments) => {
                // A conversion may be to a type that is one of its arguments.
                match self.last(*name)? {
                    Node::Conversion(_) => self.of_template(id, |writer| writer.all(*name))?,
                    _ => self.all(*name)?,
                }
                self.arguments(arguments)
            }
            Node::Abi(name, tag) => {
                self.all(*name)?;
                self.push("[abi:")?;
                self.push(tag)?;
                self.push("]")
            }
            Node::Structor(sign, class) => {
                self.push(sign)?;
                self.last_name(*class)
            }
            Node::Conversion(ty) => {
                self.push("operator ")?;
                self.all(*ty)
            }
            Node::Lambda(number, parameters) => {
                self.push("{lambda")?;
                let before = std::mem::replace(&mut self.lambda, true);
                self.parameters(parameters)?;
                self.lambda = before;
                self.push("#")?;
                self.number(*number)?;
                self.push("}")
            }
            Node::Unnamed(number) => {
                self.push("{unnamed type#")?;
                self.number(*number)?;
                self.push("}")
            }
            Node::Binding(names) => {
                self.push("[")?;
                self.list(names)?;
                self.push("]")
            }
            Node::Function { .. } => self.top(id, Form::Whole),
            Node::Signature { result, .. } => {
                self.left(*result)?;
                if self.has_right(*result) { Some(()) } else { self.push(" ") }
            }
            Node::Pointer(..) => {
                let (inner, scope, sign) = self.pointer(id)?;
                self.within(scope, |writer| {
                    writer.left(inner)?;
                    writer.push(match writer.unqualified(inner)? {
                        Node::Signature { .. } => "(",
                        Node::Array(..) => " (",
                        _ => "",
                    })
                })?;
                self.push(sign)
            }
            Node::Member(class, ty) => {
                self.left(*ty)?;
                self.push(match self.unqualified(*ty)? {
                    Node::Signature { .. } => "(",
                    Node::Array(..) => " (",
                    _ => " ",
                })?;
                self.all(*class)?;
                self.push("::*")
            }
            Node::Array(_, element) => self.left(*element),
            Node::Vector(length, element) => {
                self.all(*element)?;
                self.push(" __vector(")?;
                self.all(*length)?;
                self.push(")")
            }
            Node::Qualified(inner, qualifiers) => {
                self.left(*inner)?;
                match self.node(*inner)? {
                    Node::Signature { .. } => Some(()),
                    _ => self.qualifiers(self.new_ones(*inner, *qualifiers)),
                }
            }
            Node::Vendor(inner, qualifier) => {
                self.left(*inner)?;
                self.push(" ")?;
                self.all(*qualifier)
            }
            Node::Pack(all) => self.list(all),
            Node::Expansion(pattern) => self.expansion(*pattern),
            Node::Numbered(before, number, behind, of) => {
                self.push(before)?;
                self.number(*number)?;
                self.push(behind)?;
                self.all(*of)
            }
            Node::Literal(ty, digits) => self.literal(*ty, digits),
            Node::Variable(number) => match number {
                None => self.push("this"),
                Some(number) => {
                    self.push("{parm#")?;
                    self.number(*number)?;
                    self.push("}")
                }
            },
            Node::Unary(sign, operand) => {
                self.push(sign)?;
                // Of a member function whose address is taken only the name.
                if let ("&", Node::Function { name, qualifiers: Qualifiers(0), .. }) =
                    (*sign, self.node(*operand)?)
                    && let Node::Join(_, "::", last) = self.node(*name)?
                    && !matches!(self.node(*last)?, Node::Template(..))
                {
                    return self.all(*name);
                }
                self.operand(*operand)
            }
            Node::Postfix(operand, sign) => {
                self.operand(*operand)?;
                self.push(sign)
            }
            Node::Binary(a, sign, b) => {
                // So that it does not end the template arguments.
                let greater = *sign == ">";
                if greater {
                    self.push("(")?;
                }
                self.operand(*a)?;
                self.push(sign)?;
                self.operand(*b)?;
                if greater { self.push(")") } else { Some(()) }
            }
            Node::Conditional(condition, yes, no) => {
                self.operand(*condition)?;
                self.push("?")?;
                self.operand(*yes)?;
                self.push(" : ")?;
                self.operand(*no)
            }
            Node::Call(function, arguments) => {
                match self.node(*function)? {
                    Node::Function { name, .. } => self.all(*name)?,
                    _ => self.operand(*function)?,
                }
                self.parameters(arguments)
            }
            Node::Braces(ty, values) => {
                if let Some(ty) = ty {
                    self.all(*ty)?;
                }
                self.push("{")?;
                self.list(values)?;
                self.push("}")
            }
            Node::Cast("", ty, value) => {
                self.push("(")?;
                self.all(*ty)?;
                self.push(")")?;
                self.operand(*value)
            }
            Node::Cast(name, ty, value) => {
                self.push(name)?;
                self.arguments(&[*ty])?;
                self.push("(")?;
                self.all(*value)?;
                self.push(")")
            }
            Node::Count(pack) => match self.length(*pack, 0) {
                Some(length) => self.number(length as u64),
                None => {
                    self.push("sizeof...(")?;
                    self.all(*pack)?;
                    self.push(")")
                }
            },
            Node::Around(before, inner, behind) => {
                self.push(before)?;
                self.all(*inner)?;
                self.push(behind)
            }
            Node::Fold(a, sign, b) => {
                self.push("(")?;
                match a {
                    Some(a) => self.operand(*a)?,
                    None => self.push("...")?,
                }
                self.push(sign)?;
                if let (Some(_), Some(_)) = (a, b) {
                    self.push("...")?;
                    self.push(sign)?;
                }
                match b {
                    Some(b) => self.operand(*b)?,
                    None => self.push("...")?,
                }
                self.push(")")
            }
            Node::New(keyword, placement, ty, values) => {
                self.push(keyword)?;
                if !placement.is_empty() {
                    self.push(" ")?;
                    self.parameters(placement)?;
                }
                self.push(" ")?;
                self.all(*ty)?;
                match values {
                    Some(values) => self.parameters(values),
                    None => Some(()),
                }
            }
        }
    }

    /// What it has behind its name.
    fn right(&mut self, id: Id) -> Option<()> {
        let (id, scope) = self.resolve(id, self.scope)?;
        self.deeper(|writer| writer.within(scope, |writer| writer.right_of(id)))
    }

    fn right_of(&mut self, id: Id) -> Option<()> {
        match self.nodes.get(id as usize)? {
            Node::Signature { .. } => self.signature(id, Qualifiers::default()),
            Node::Pointer(..) => {
                let (inner, scope, _) = self.pointer(id)?;
                self.within(scope, |writer| writer.close(inner))
            }
            Node::Member(_, ty) => self.close(*ty),
            Node::Array(length, element) => {
                if !self.out.ends_with(']') {
                    self.push(" ")?;
                }
                self.push("[")?;
                if let Some(length) = length {
                    self.all(*length)?;
                }
                self.push("]")?;
                self.right(*element)
            }
            Node::Qualified(inner, qualifiers) => {
                let (target, scope) = self.resolve(*inner, self.scope)?;
                match self.nodes.get(target as usize)? {
                    Node::Signature { .. } => {
                        self.within(scope, |writer| writer.signature(target, *qualifiers))
                    }
                    _ => self.right(*inner),
                }
            }
            Node::Vendor(inner, _) => self.right(*inner),
            _ => Some(()),
        }
    }

    /// The end of a pointer to it.
    fn close(&mut self, inner: Id) -> Option<()> {
        if matches!(self.unqualified(inner)?, Node::Signature { .. } | Node::Array(..)) {
            self.push(")")?;
        }
        self.right(inner)
    }

    fn signature(&mut self, id: Id, more: Qualifiers) -> Option<()> {
        let Node::Signature { result, parameters, qualifiers, noexcept } =
            self.nodes.get(id as usize)?
        else {
            return None;
        };
        self.parameters(parameters)?;
        self.qualifiers(Qualifiers(qualifiers.0 | more.0))?;
        if let Some(condition) = noexcept {
            self.push(" noexcept")?;
            if !matches!(self.node(*condition)?, Node::Text("")) {
                self.push("(")?;
                self.all(*condition)?;
                self.push(")")?;
            }
        }
        self.right(*result)
    }

    /// The type without its qualifiers.
    fn unqualified(&self, id: Id) -> Option<&'n Node<'s>> {
        self.unqualified_in(id, self.scope).map(|(node, _)| node)
    }

    fn unqualified_in(&self, id: Id, scope: Scope) -> Option<(&'n Node<'s>, Scope)> {
        let (mut id, mut scope) = self.resolve(id, scope)?;
        while let Node::Qualified(of, _) = self.nodes.get(id as usize)? {
            (id, scope) = self.resolve(*of, scope)?;
        }
        Some((self.nodes.get(id as usize)?, scope))
    }

    /// Whether a declaration of that type has something behind its name, so that what is in front ends in a parenthesis.
    fn has_right(&self, id: Id) -> bool {
        let (mut id, mut scope) = (id, self.scope);
        while let Some((Node::Pointer(inner, _) | Node::Member(_, inner), of)) =
            self.unqualified_in(id, scope)
        {
            (id, scope) = (*inner, of);
            if let Some((Node::Signature { .. } | Node::Array(..), _)) =
                self.unqualified_in(id, scope)
            {
                return true;
            }
        }
        false
    }

    /// A pointer's or reference's target, the scope of that, and its sign. A reference to a reference is one.
    fn pointer(&self, id: Id) -> Option<(Id, Scope, &'static str)> {
        let Node::Pointer(mut inner, mut sign) = *self.nodes.get(id as usize)? else { return None };
        let mut scope = self.scope;
        while sign.starts_with('&') {
            let (target, of) = self.resolve(inner, scope)?;
            let Node::Pointer(next, other) = *self.nodes.get(target as usize)? else { break };
            if !other.starts_with('&') {
                break;
            }
            (inner, scope) = (next, of);
            if other == "&" {
                sign = "&";
            }
        }
        Some((inner, scope, sign))
    }

    /// The qualifiers that it does not have already.
    fn new_ones(&self, inner: Id, qualifiers: Qualifiers) -> Qualifiers {
        match self.node(inner) {
            Some(Node::Qualified(_, known)) => Qualifiers(qualifiers.0 & !known.0),
            _ => qualifiers,
        }
    }

    fn arguments(&mut self, arguments: &[Id]) -> Option<()> {
        self.push(if self.out.ends_with('<') { " <" } else { "<" })?;
        self.list(arguments)?;
        self.push(if self.out.ends_with('>') { " >" } else { ">" })
    }

    /// The last component of a name.
    fn last(&self, id: Id) -> Option<&'n Node<'s>> {
        let mut node = self.node(id)?;
        while let Node::Join(_, "::", last) = node {
            node = self.node(*last)?;
        }
        Some(node)
    }

    /// Writes the last component of a class's name, without its template arguments.
    fn last_name(&mut self, mut id: Id) -> Option<()> {
        loop {
            match self.node(id)? {
                Node::Join(scope, "::", last) => {
                    // One without a name is called as what is around it.
                    let unnamed = matches!(self.node(*last)?, Node::Unnamed(_) | Node::Lambda(..));
                    id = if unnamed { *scope } else { *last };
                }
                Node::Template(name, _) | Node::Abi(name, _) => id = *name,
                Node::Std(_, _, last) => return self.push(last),
                _ => return self.all(id),
            }
        }
    }

    /// A pattern for each element of the pack in it.
    fn expansion(&mut self, pattern: Id) -> Option<()> {
        let before = self.element.take();
        let length = self.length(pattern, 0);
        match length {
            None => {
                self.operand(pattern)?;
                self.push("...")?;
            }
            Some(length) => {
                for element in 0..length {
                    if element > 0 {
                        self.push(", ")?;
                    }
                    self.element = Some(element);
                    self.all(pattern)?;
                }
            }
        }
        self.element = before;
        Some(())
    }

    /// The number of elements of the first pack in it.
    fn length(&self, id: Id, depth: u32) -> Option<usize> {
        (depth < DEEPEST).then_some(())?;
        let of = |id: &Id| self.length(*id, depth + 1);
        let of_all = |all: &[Id]| all.iter().find_map(of);
        match self.nodes.get(id as usize)? {
            Node::Parameter(_) => match self.node(id)? {
                Node::Pack(all) => Some(all.len()),
                _ => None,
            },
            Node::Pack(all) => of_all(all),
            Node::Prefix(_, id)
            | Node::Abi(id, _)
            | Node::Conversion(id)
            | Node::Pointer(id, _)
            | Node::Qualified(id, _)
            | Node::Numbered(.., id)
            | Node::Unary(_, id)
            | Node::Postfix(id, _)
            | Node::Count(id)
            | Node::Around(_, id, _) => of(id),
            Node::Join(a, _, b)
            | Node::Member(a, b)
            | Node::Vector(a, b)
            | Node::Vendor(a, b)
            | Node::Binary(a, _, b)
            | Node::Cast(_, a, b) => of(a).or_else(|| of(b)),
            Node::Array(length, element) => of(element).or_else(|| of(length.as_ref()?)),
            Node::Template(name, arguments) => of(name).or_else(|| of_all(arguments)),
            Node::Call(function, arguments) => of(function).or_else(|| of_all(arguments)),
            Node::Braces(ty, values) => ty.as_ref().and_then(of).or_else(|| of_all(values)),
            Node::Signature { result, parameters, .. } => of(result).or_else(|| of_all(parameters)),
            Node::Conditional(a, b, c) => of_all(&[*a, *b, *c]),
            _ => None,
        }
    }

    /// An operand, in parentheses unless it is a name.
    fn operand(&mut self, id: Id) -> Option<()> {
        let simple = match self.nodes.get(id as usize)? {
            Node::Join(_, _, last) => !matches!(self.node(*last)?, Node::Template(..)),
            Node::Text(_) | Node::Braces(..) | Node::Variable(_) | Node::Std(..) => true,
            _ => false,
        };
        if simple {
            return self.all(id);
        }
        self.push("(")?;
        self.all(id)?;
        self.push(")")
    }

    fn literal(&mut self, ty: Id, digits: &str) -> Option<()> {
        let name = match self.node(ty)? {
            Node::Text(name) => *name,
            _ => "",
        };
        let suffix = match name {
            "int" => "",
            "unsigned int" => "u",
            "long" => "l",
            "unsigned long" => "ul",
            "long long" => "ll",
            "unsigned long long" => "ull",
            "bool" if digits == "0" => return self.push("false"),
            "bool" if digits == "1" => return self.push("true"),
            _ => {
                self.push("(")?;
                self.all(ty)?;
                self.push(")")?;
                let float = matches!(name, "float" | "double" | "long double" | "__float128");
                self.push(if float { "[" } else { "" })?;
                self.digits(digits)?;
                return self.push(if float { "]" } else { "" });
            }
        };
        self.digits(digits)?;
        self.push(suffix)
    }

    fn digits(&mut self, digits: &str) -> Option<()> {
        match digits.strip_prefix('n') {
            Some(digits) => {
                self.push("-")?;
                self.push(digits)
            }
            None => self.push(digits),
        }
    }
}
